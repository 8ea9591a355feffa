"""What executors and tasks of the embedded agent are started with (PROTOCOL 3.3, 8.1)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_agent import AGENT, FRAMEWORK, OWN, Bench, command_task, executor_info, framework_info, task_info

from pymesos.local.model.effects import Launch
from pymesos.local.model.texts import duration
from pymesos.utils import parse_duration

PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def launched(bench):
    effect, = bench.take(Launch)
    return effect.container, effect.spec


def sandbox(executor_id, container):
    return '/srv/slaves/%s/frameworks/%s/executors/%s/runs/%s' % (AGENT, FRAMEWORK, executor_id, container)


def test_environment_of_an_executor_is_that_of_mesos():
    bench = Bench()
    bench.run(task_info(), executor_info())
    container, spec = launched(bench)
    assert spec['environment'] == {
        'LIBPROCESS_IP': '127.0.0.1', 'LIBPROCESS_PORT': '0', 'MESOS_AGENT_ENDPOINT': '127.0.0.1:5051',
        'MESOS_CHECKPOINT': '0', 'MESOS_DIRECTORY': sandbox('e', container), 'MESOS_EXECUTOR_ID': 'e',
        'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD': '5secs', 'MESOS_FRAMEWORK_ID': FRAMEWORK,
        'MESOS_HTTP_COMMAND_EXECUTOR': '0', 'MESOS_SANDBOX': sandbox('e', container), 'MESOS_SLAVE_ID': AGENT,
        'MESOS_SLAVE_PID': 'slave(1)@127.0.0.1:5051', 'PATH': PATH}


def test_executor_of_a_checkpointing_framework_is_told_how_long_to_wait():
    bench = Bench(info=framework_info(checkpoint=True))
    bench.run(task_info(), executor_info(shutdown_grace_period={'nanoseconds': 90 * 10 ** 9}))
    _, spec = launched(bench)
    assert spec['environment']['MESOS_CHECKPOINT'] == '1'
    assert spec['environment']['MESOS_RECOVERY_TIMEOUT'] == '15mins'
    assert spec['environment']['MESOS_SUBSCRIPTION_BACKOFF_MAX'] == '2secs'
    assert spec['environment']['MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD'] == '90secs'


def test_settings_of_the_agent_give_way_and_the_command_wins():
    bench = Bench(executor_environment_variables={'A': 'agent', 'MESOS_EXECUTOR_ID': 'agent', 'PATH': '/agent'})
    variables = [{'name': 'A', 'type': 'VALUE', 'value': 'own'}, {'name': 'MESOS_SLAVE_ID', 'value': 'own'},
                 {'name': 'S', 'type': 'SECRET', 'secret': {'type': 'VALUE', 'value': {'data': 'c2VjcmV0'}}},
                 {'name': 'R', 'type': 'SECRET', 'secret': {'type': 'REFERENCE', 'reference': {'name': 'x'}}}]
    bench.run(task_info(), executor_info(command={'value': 'x', 'environment': {'variables': variables}}))
    _, spec = launched(bench)
    given = spec['environment']
    assert (given['A'], given['MESOS_SLAVE_ID'], given['S']) == ('own', 'own', 'secret')
    assert (given['MESOS_EXECUTOR_ID'], given['PATH']) == ('e', '/agent')
    assert 'R' not in given


def test_executor_gets_a_token_if_it_needs_one():
    asked = []

    def make(*ids):
        asked.append(ids)
        return 'token'

    bench = Bench(authenticate_executors=True, make_executor_token=make, is_tls=True)
    bench.run(task_info(), executor_info())
    container, spec = launched(bench)
    assert spec['environment']['MESOS_EXECUTOR_AUTHENTICATION_TOKEN'] == 'token'
    assert spec['environment']['LIBPROCESS_SSL_ENABLED'] == '1'
    assert asked == [(FRAMEWORK, 'e', container)]
    bench.run(command_task())
    assert 'MESOS_EXECUTOR_AUTHENTICATION_TOKEN' not in launched(bench)[1]['environment']


def test_command_task_has_the_environment_of_its_executor_and_its_own():
    bench = Bench()
    variables = [{'name': 'FOO', 'type': 'VALUE', 'value': 'bar'}]
    resources = [dict(item, allocation_info={'role': 'dev'}) for item in OWN]
    bench.run(task_info('c', command={'value': 'env', 'environment': {'variables': variables}}, resources=resources))
    container, spec = launched(bench)
    assert spec['environment']['MESOS_EXECUTOR_ID'] == 'c'
    assert spec['environment']['MESOS_ALLOCATION_ROLE'] == 'dev'
    assert spec['environment']['FOO'] == 'bar'
    assert spec['directory'] == spec['work'] == sandbox('c', container)


def test_spec_says_what_to_run_where_and_as_whom():
    bench = Bench(info=framework_info(user='fred'))
    uris = [{'value': '/a', 'extract': True}]
    command = {'shell': False, 'value': '/bin/echo', 'arguments': ['echo', 'a'], 'uris': uris}
    container_info = {'type': 'MESOS', 'rlimit_info': {'rlimits': [{'type': 'RLMT_CORE', 'soft': 0, 'hard': 0}]},
                      'tty_info': {'window_size': {'rows': 24, 'columns': 80}}}
    bench.run(task_info('c', command=command, container=container_info))
    container, spec = launched(bench)
    assert dict((name, spec[name]) for name in spec if name not in ('environment', 'directory', 'work')) == {
        'command': command, 'user': 'fred', 'uris': uris, 'stdout': 'stdout', 'stderr': 'stderr', 'io': 'tty',
        'window': {'rows': 24, 'columns': 80}, 'rlimits': [{'type': 'RLMT_CORE', 'soft': 0, 'hard': 0}],
        'root': '/srv', 'latest': True, 'volumes': []}


@pytest.mark.parametrize('switch_user,named,user', [(True, None, 'root'), (True, 'nobody', 'nobody'),
                                                    (False, 'nobody', None)])
def test_user_is_that_of_the_command_or_of_the_framework(switch_user, named, user):
    bench = Bench(switch_user=switch_user)
    command = {'value': 'id'}
    if named:
        command['user'] = named
    bench.run(task_info('c', command=command))
    assert launched(bench)[1]['user'] == user


def test_task_of_a_group_has_a_sandbox_in_that_of_its_executor():
    bench = Bench()
    info = executor_info('g', type='DEFAULT')
    variables = [{'name': 'FOO', 'type': 'VALUE', 'value': 'bar'}]
    bench.run_group(info, task_info('t', command={'value': 'x', 'environment': {'variables': variables}}))
    container, spec = launched(bench)
    executor, _, own = container.partition('.')
    directory = sandbox('g', executor) + '/containers/' + own
    assert spec['directory'] == spec['work'] == directory
    assert spec['root'] == sandbox('g', executor)
    assert spec['environment'] == {'FOO': 'bar', 'MESOS_SANDBOX': directory, 'MESOS_CONTAINER_IP': '127.0.0.1',
                                   'MESOS_ALLOCATION_ROLE': '*', 'PATH': PATH}


def test_task_without_a_command_fails_when_it_is_run():
    bench = Bench()
    bench.run_group(executor_info('g', type='DEFAULT'), task_info('t'))
    assert launched(bench)[1]['command'] == {
        'shell': True, 'value': 'echo "Launch command is not specified" >&2; exit 1'}


def volume(name='v', role='eng/dev'):
    return {'name': 'disk', 'type': 'SCALAR', 'scalar': {'value': 64.0}, 'allocation_info': {'role': role},
            'reservations': [{'type': 'DYNAMIC', 'role': role}],
            'disk': {'persistence': {'id': name}, 'volume': {'mode': 'RW', 'container_path': 'data/' + name}}}


def test_volumes_are_where_mesos_has_them_and_linked_into_the_sandbox():
    bench = Bench()
    bench.run(command_task('c', resources=OWN + [volume()]))
    assert launched(bench)[1]['volumes'] == [{'path': 'data/v', 'source': '/srv/volumes/roles/eng dev/v'}]
    bench.run(task_info('t', resources=OWN + [volume()]), executor_info(resources=OWN + [volume('own', 'eng')]))
    assert launched(bench)[1]['volumes'] == [{'path': 'data/own', 'source': '/srv/volumes/roles/eng/own'},
                                             {'path': 'data/v', 'source': '/srv/volumes/roles/eng dev/v'}]
    bench.run_group(executor_info('g', type='DEFAULT'), command_task('t1', resources=OWN + [volume()]),
                    command_task('t2'))
    assert [effect.spec['volumes'] for effect in bench.take(Launch)] == [
        [{'path': 'data/v', 'source': '/srv/volumes/roles/eng dev/v'}], []]


def test_volume_that_was_destroyed_is_given_to_nobody_any_more():
    bench = Bench()
    destroy = {'type': 'DESTROY', 'destroy': {'volumes': [volume()]}}
    bench.hear('APPLY', framework_id=None, operation=destroy, uuid='dXVpZA==', total=OWN)
    bench = bench.restart()
    bench.register()
    bench.take()
    bench.run(command_task('c', resources=OWN + [volume(), volume('other')]))
    assert [item['source'] for item in launched(bench)[1]['volumes']] == [
        '/srv/volumes/roles.1/eng dev/v', '/srv/volumes/roles/eng dev/other']


def made_executor(task):
    bench = Bench()
    bench.run(task)
    return bench.model.frameworks[FRAMEWORK].executors[task['task_id']['value']].info


def test_agent_makes_the_executor_of_a_command_task():
    command = {'shell': True, 'value': 'env; pwd; cat hello.txt', 'user': 'nobody', 'uris': [{'value': '/a'}],
               'environment': {'variables': []}}
    assert made_executor(task_info('c1', command=command, labels={'labels': [{'key': 'a'}]})) == {
        'executor_id': {'value': 'c1'}, 'framework_id': {'value': FRAMEWORK}, 'source': 'c1',
        'name': "Command Executor (Task: c1) (Command: sh -c 'env; pwd; ca...')",
        'command': {'shell': False, 'value': '/usr/libexec/mesos/mesos-executor', 'user': 'nobody',
                    'arguments': ['mesos-executor', '--launcher_dir=/usr/libexec/mesos'],
                    'uris': [{'value': '/a'}], 'environment': {'variables': []}},
        'labels': {'labels': [{'key': 'a'}]},
        'resources': [dict(OWN[0], scalar={'value': 0.1}), dict(OWN[1], scalar={'value': 32.0})]}


@pytest.mark.parametrize('command,shown', [
    ({'shell': True, 'value': 'sleep 1000'}, "(Command: sh -c 'sleep 1000')"),
    ({'shell': True, 'value': '123456789012345'}, "(Command: sh -c '123456789012345')"),
    ({'shell': True, 'value': '1234567890123456'}, "(Command: sh -c '123456789012...')"),
    ({'shell': False, 'value': '/bin/echo', 'arguments': ['echo', 'no', 'shell']}, '(Command: [/bin/echo, e...])'),
    ({'shell': True}, '(Command: NO COMMAND)'), ({'shell': False}, '(Command: NO EXECUTABLE)')])
def test_name_of_a_command_executor_shows_the_command(command, shown):
    assert made_executor(task_info('c', command=command))['name'] == 'Command Executor (Task: c) ' + shown


@pytest.mark.parametrize('seconds,text', [
    (0, '0ns'), (2, '2secs'), (60, '1mins'), (90, '90secs'), (900, '15mins'), (3600, '1hrs'), (86400, '1days'),
    (604800, '1weeks'), (0.25, '250ms'), (1.5, '1500ms'), (1e-6, '1us'), (5e-9, '5ns')])
def test_durations_are_written_as_mesos_does(seconds, text):
    assert duration(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds)
