"""What the processes of executors and tasks are given: environment, sandbox, user (PROTOCOL 3.3, 8.1). Pure."""
from __future__ import absolute_import, division, print_function

from ...utils import decode_data
from .shapes import allocation_role
from .texts import duration

__all__ = ['LAUNCHER_DIR', 'command_environment', 'command_executor', 'executor_environment', 'executor_sandbox',
           'launch_spec', 'nested_environment', 'nested_sandbox', 'seconds_of', 'shutdown_grace']

#: Where Mesos has its own executors. Here they are part of the agent, and this is only shown.
LAUNCHER_DIR = '/usr/libexec/mesos'

#: What is done for a CommandInfo that says nothing.
NO_COMMAND = {'shell': True, 'value': 'echo "Launch command is not specified" >&2; exit 1'}

#: How many characters of a command an executor's name shows.
SHOWN_COMMAND = 15


def seconds_of(duration):
    """The seconds (float) of a DurationInfo."""
    return duration.get('nanoseconds', 0) / 1e9


def shutdown_grace(options, executor_info):
    """The seconds that an executor has after SHUTDOWN."""
    given = executor_info.get('shutdown_grace_period')
    return options.executor_shutdown_grace_period if given is None else seconds_of(given)


def executor_sandbox(options, agent_id, framework_id, executor_id, container):
    """The path of an executor's sandbox (PROTOCOL 8.1)."""
    return '/'.join([options.work_dir or '', 'slaves', agent_id, 'frameworks', framework_id, 'executors', executor_id,
                     'runs', container])


def nested_sandbox(directory, container):
    """The path of the sandbox of a container, by its own name, in the sandbox of the one it is nested in."""
    return '%s/containers/%s' % (directory, container)


def executor_environment(agent, executor):
    """The environment of an executor's process, {name: text}: PROTOCOL 3.3."""
    options, framework, container = agent.options, executor.framework, executor.container
    environment = dict(options.executor_environment_variables)
    environment.update({
        'LIBPROCESS_IP': options.ip,
        'LIBPROCESS_PORT': '0',
        'MESOS_FRAMEWORK_ID': framework.id,
        'MESOS_EXECUTOR_ID': executor.id,
        'MESOS_DIRECTORY': container.directory,
        'MESOS_SANDBOX': container.directory,
        'MESOS_SLAVE_ID': agent.agent_id,
        'MESOS_SLAVE_PID': agent.pid,
        'MESOS_AGENT_ENDPOINT': agent.pid.partition('@')[2],
        'MESOS_CHECKPOINT': '1' if framework.is_checkpointed else '0',
        'MESOS_HTTP_COMMAND_EXECUTOR': '0',
        'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD': duration(shutdown_grace(options, executor.info)),
    })
    if framework.is_checkpointed:
        environment['MESOS_RECOVERY_TIMEOUT'] = duration(options.recovery_timeout)
        environment['MESOS_SUBSCRIPTION_BACKOFF_MAX'] = duration(options.executor_reregistration_timeout)
    if options.is_tls:
        environment['LIBPROCESS_SSL_ENABLED'] = '1'
    return environment


def nested_environment(agent, directory, task):
    """The environment of a task of the default executor, without the task's own."""
    return {'MESOS_SANDBOX': directory, 'MESOS_CONTAINER_IP': agent.options.ip,
            'MESOS_ALLOCATION_ROLE': allocation_role(task.get('resources', ()))}


def command_environment(command):
    """What a CommandInfo says of the environment, {name: text}; secrets by reference are left out."""
    found = {}
    for variable in command.get('environment', {}).get('variables', ()):
        if variable.get('type') != 'SECRET':
            found[variable['name']] = variable.get('value', '')
        elif 'value' in variable.get('secret', {}):
            found[variable['name']] = decode_data(variable['secret']['value']['data']).decode('utf-8', 'replace')
    return found


def launch_spec(agent, framework, command, container, environment, container_info=None):
    """The spec of :mod:`pymesos.local.launcher` for what runs `command`, in a Container that is not launched yet."""
    options = agent.options
    if command.get('value') is None:
        # It is given to the launcher of Mesos as it is, which says this.
        command = dict(command, **NO_COMMAND)
    environment = dict(environment, **command_environment(command))
    environment.setdefault('PATH', options.path)
    spec = {'command': command, 'environment': environment, 'directory': container.directory,
            'work': container.directory, 'user': None, 'uris': command.get('uris', []), 'stdout': 'stdout',
            'stderr': 'stderr', 'io': None}
    if container.parent is None:
        # All above is made by the agent; what lies in a sandbox is anybody's.
        spec.update(root=options.work_dir, latest=True)
    else:
        # Of the folders between, too, the user of the executor can make links.
        outermost = container.parent
        while outermost.parent is not None:
            outermost = outermost.parent
        spec['root'] = outermost.directory
    if options.switch_user:
        spec['user'] = command.get('user') or framework.info.get('user') or None
    if container_info and 'tty_info' in container_info:     # which may be empty
        spec.update(io='tty', window=container_info['tty_info'].get('window_size'))
    if container_info and container_info.get('rlimit_info'):
        spec['rlimits'] = container_info['rlimit_info'].get('rlimits', [])
    return spec


def command_executor(framework_id, task):
    """The ExecutorInfo that an agent makes for a command task."""
    task_id, command = task['task_id']['value'], task['command']
    role = allocation_role(task['resources'])
    made = {'shell': False, 'value': LAUNCHER_DIR + '/mesos-executor',
            'arguments': ['mesos-executor', '--launcher_dir=' + LAUNCHER_DIR]}
    for name in ('uris', 'environment', 'user'):
        if name in command:
            made[name] = command[name]
    info = {'executor_id': {'value': task_id}, 'framework_id': {'value': framework_id}, 'command': made,
            'resources': [_scalar('cpus', 0.1, role), _scalar('mem', 32.0, role)],
            'name': 'Command Executor (Task: %s) %s' % (task_id, _shown(command)), 'source': task_id}
    for name in ('container', 'discovery', 'labels'):
        if name in task:
            info[name] = task[name]
    return info


def _scalar(name, value, role):
    return {'name': name, 'type': 'SCALAR', 'scalar': {'value': value}, 'allocation_info': {'role': role}}


def _shown(command):
    value = command.get('value')
    if command.get('shell', True):
        return '(Command: NO COMMAND)' if value is None else "(Command: sh -c '%s')" % _cut(value)
    if value is None:
        return '(Command: NO EXECUTABLE)'
    return '(Command: [%s])' % _cut(', '.join([value] + command.get('arguments', [])))


def _cut(text):
    return text if len(text) <= SHOWN_COMMAND else text[:SHOWN_COMMAND - 3] + '...'
