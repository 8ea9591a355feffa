"""The JSON endpoints of the master that are older than its v1 API, and still served (PROTOCOL 1.1, 6)."""
from __future__ import absolute_import, division, print_function

import re
from collections import OrderedDict

from .. import strictjson
from ..convert import ConvertError, read
from . import metrics, validation
from .effects import Reply, refuse
from .flags import flags
from .legacy_shapes import FrameworkUse, agent, agent_full, framework, recovered_agent, task_counts
from .shapes import legacy_task
from .version import BUILD
from .views import all_frameworks

__all__ = ['answer', 'flags']

#: How many tasks ``/tasks`` shows if it is not told.
TASK_LIMIT = 100

_INTEGER = re.compile(r'[+-]?[0-9]{1,10}\Z')


def answer(master, operator, path, query, principal, method, form):
    """The Reply to a request, None if there is no such endpoint.

    `path` is without the name of the process, `query` {name: text}; `form` {name: text} for those that take a form,
    else the body (bytes). `master` is a :class:`~.master.MasterModel`, `operator` its :class:`~.operator.Operator`.
    """
    if path in _PAGES:
        return Reply(200, _PAGES[path](master, query))
    name = '/quota' if path.startswith('/quota/') else path
    if name not in _METHODS:
        return None
    if method not in _METHODS[name]:
        return _wrong_method(method, _METHODS[name])
    request = _Request(master, operator, path, principal, method, form)
    try:
        return _ANSWERS[name](request)
    except ConvertError as error:
        return refuse(400, str(error))


def _wrong_method(method, allowed):
    text = '405 Method Not Allowed. Expecting one of { %s }, but received \'%s\'.' % (
        ', '.join("'%s'" % name for name in allowed), method)
    return Reply(405, text, headers=[('Allow', ', '.join(allowed))])


# ---- pages that only show something; for these any method will do

def _state(master, _query):
    found = OrderedDict((name, BUILD[name]) for name in ('version', 'git_sha', 'git_tag', 'build_date', 'build_time',
                                                         'build_user'))
    info = master.master_info()
    found.update([('start_time', master.start_time), ('elected_time', master.elected_time), ('id', master.id),
                  ('pid', info['pid']), ('hostname', info['hostname']),
                  # The third is one that has no name in the v1 API.
                  ('capabilities', ['AGENT_UPDATE', 'AGENT_DRAINING', 'QUOTA_V2'])])
    active = sum(known.is_active for known in master.agents.values())
    found.update([('activated_slaves', float(active)), ('deactivated_slaves', float(len(master.agents) - active)),
                  ('unreachable_slaves', float(len(master.unreachable_agents)))])
    if master.options.cluster is not None:
        found['cluster'] = master.options.cluster
    if master.options.domain:
        found['domain'] = master.options.domain
    found['leader'] = info['pid']
    found['leader_info'] = OrderedDict((name, info[name]) for name in ('id', 'pid', 'port', 'hostname'))
    found['flags'] = flags(master)
    found['slaves'] = [agent(known) for known in master.agents.values()]
    found['recovered_slaves'] = [recovered_agent(known) for known in master.recovered_agents.values()]
    use = FrameworkUse(master)
    found['frameworks'] = [framework(known, use) for known in master.frameworks.values()]
    found['completed_frameworks'] = [framework(known, use) for known in master.completed_frameworks.values()]
    found.update([('orphan_tasks', []), ('unregistered_frameworks', [])])
    return found


def _state_summary(master, _query):
    use = FrameworkUse(master)
    counts = task_counts(master)
    found = OrderedDict([('hostname', master.options.hostname), ('slaves', []), ('frameworks', [])])
    if master.options.cluster is not None:
        found['cluster'] = master.options.cluster
    for known in master.agents.values():
        found['slaves'].append(agent(known))
        found['slaves'][-1].update(counts.of_agent(known.id))
    for known in master.frameworks.values():
        found['frameworks'].append(framework(known, use, is_short=True))
        found['frameworks'][-1].update(counts.of_framework(known.id))
    return found


def _slaves(master, query):
    wanted = query.get('slave_id')
    return OrderedDict([
        ('slaves', [agent_full(known) for known in master.agents.values() if wanted in (None, known.id)]),
        ('recovered_slaves', [recovered_agent(info) for agent_id, info in master.recovered_agents.items()
                              if wanted in (None, agent_id)])])


def _frameworks(master, query):
    wanted, use = query.get('framework_id'), FrameworkUse(master)
    return OrderedDict([
        ('frameworks', [framework(known, use) for known in master.frameworks.values() if wanted in (None, known.id)]),
        ('completed_frameworks', [framework(known, use) for known in master.completed_frameworks.values()
                                  if wanted in (None, known.id)]),
        ('unregistered_frameworks', [])])


def _tasks(master, query):
    framework_id, task_id = query.get('framework_id'), query.get('task_id')
    tasks = [task for known in all_frameworks(master) if framework_id in (None, known.id)
             for task in list(known.tasks.values()) + list(known.unreachable_tasks.values())
             + list(known.completed_tasks) if task_id in (None, task.id)]
    # By the time of the first status; tasks without one are the oldest.
    tasks.sort(key=lambda task: task.statuses[0].get('timestamp', 0) if task.statuses else -1,
               reverse=query.get('order') != 'asc')
    limit, offset = _integer(query.get('limit'), TASK_LIMIT), _integer(query.get('offset'), 0)
    # Mesos adds them as unsigned numbers of 64 bits, so that a limit of -1 is no limit.
    end = min((offset + limit) % 2 ** 64, len(tasks))
    return {'tasks': [legacy_task(task) for task in tasks[offset % 2 ** 64:end]]}


def _roles(master, _query):
    return {'roles': [role.legacy() for role in master.operator.roles.all()]}


def _integer(text, default):
    return int(text) if text is not None and _INTEGER.match(text) else default


_PAGES = {
    '/state': _state, '/state-summary': _state_summary, '/slaves': _slaves, '/frameworks': _frameworks,
    '/tasks': _tasks, '/roles': _roles,
    '/flags': lambda master, query: {'flags': flags(master)},
    '/metrics/snapshot': lambda master, query: OrderedDict(sorted(metrics.snapshot(master).items())),
}


# ---- endpoints that do something

class _Request(object):
    """A request to an endpoint that looks at its method or body."""

    def __init__(self, master, operator, path, principal, method, form):
        self.master, self.operator = master, operator
        self.path, self.principal, self.method, self.form = path, principal, method, form

    def json(self, prefix='', is_list=False):
        """The body as JSON; a ConvertError whose text begins with `prefix` says what is wrong with it."""
        return _parsed(self.form.decode('utf-8', 'replace') if self.form else '', prefix, is_list)

    def quoted(self):
        """The body as it is shown in texts."""
        return (self.form or b'').decode('utf-8', 'replace')


def _parsed(text, prefix, is_list):
    try:
        value = strictjson.parse(text)
    except strictjson.JsonError as error:
        raise ConvertError('%s%s' % (prefix, error))
    if not isinstance(value, list if is_list else dict):
        raise ConvertError(prefix + 'Unexpected JSON type parsed')
    return value


def _read_all(kind, values, prefix=''):
    try:
        return [read(kind, value) for value in values]
    except ConvertError as error:
        raise ConvertError('%s%s' % (prefix, error))


def _weights(request):
    if request.method == 'GET':
        return Reply(200, [OrderedDict([('role', info['role']), ('weight', info['weight'])])
                           for info in request.operator.roles.weights()])
    body = request.quoted()
    values = request.json("Failed to parse update weights request JSON '%s': " % body, is_list=True)
    return request.operator.roles.update_weights(
        _read_all('WeightInfo', values, "Failed to convert weights JSON array to protobuf '%s': " % body))


def _quota(request):
    roles = request.operator.roles
    if request.method == 'GET':
        return Reply(200, roles.quota_status())
    if request.method == 'DELETE':
        path = '/master' + request.path
        tokens = path.split('/')[1:]
        if len(tokens) < 3:
            return refuse(400, "Failed to parse remove quota request for path '%s': expected 3 tokens, found %d tokens"
                          % (path, len(tokens)))
        error = roles.remove_quota('/'.join(tokens[2:]))
        return Reply(200) if error is None else refuse(400, "Failed to remove quota for path '%s': %s" % (path, error))
    body = request.quoted()
    value = request.json("Failed to parse set quota request JSON '%s': " % body)
    return roles.set_quota(_read_all('quota.QuotaRequest', [value],
                                     "Failed to validate set quota request JSON '%s': " % body)[0])


def _schedule(request):
    if request.method == 'GET':
        return Reply(200, request.master.maintenance.schedule())
    return request.master.maintenance.update(read('maintenance.Schedule', request.json()))


def _machines(order):
    def answer_machines(request):
        machines = _read_all('MachineID', request.json(is_list=True))
        return getattr(request.master.maintenance, order)(machines)
    return answer_machines


def _teardown(request):
    if 'frameworkId' not in request.form:
        return refuse(400, "Missing 'frameworkId' query parameter in the request body")
    return request.operator.teardown(request.form['frameworkId'])


def _operation(kind, field, complaint):
    def answer_operation(request):
        for name in ('slaveId', field):
            if name not in request.form:
                return refuse(400, "Missing '%s' query parameter in the request body" % name)
        prefix = "%s '%s' query parameter in the request body: " % (complaint, field)
        items = _read_all('Resource', _parsed(request.form[field], prefix, True), prefix)
        agent_id = request.form['slaveId']
        if agent_id in request.master.agents:
            error = validation.resource_forms(items)
            if error is not None:
                return refuse(400, error)
        return request.operator.operation(kind, {'agent_id': {'value': agent_id}, field: items}, request.principal)
    return answer_operation


_METHODS = OrderedDict([
    ('/weights', ('GET', 'PUT')), ('/quota', ('GET', 'POST', 'DELETE')), ('/maintenance/schedule', ('GET', 'POST')),
    ('/maintenance/status', ('GET',)), ('/machine/up', ('POST',)), ('/machine/down', ('POST',)),
    ('/teardown', ('POST',)), ('/reserve', ('POST',)), ('/unreserve', ('POST',)), ('/create-volumes', ('POST',)),
    ('/destroy-volumes', ('POST',))])

_ANSWERS = {
    '/weights': _weights, '/quota': _quota, '/maintenance/schedule': _schedule,
    '/maintenance/status': lambda request: Reply(200, request.master.maintenance.status()),
    '/machine/up': _machines('stop'), '/machine/down': _machines('start'), '/teardown': _teardown,
    '/reserve': _operation('RESERVE_RESOURCES', 'resources', 'Error parsing'),
    '/unreserve': _operation('UNRESERVE_RESOURCES', 'resources', 'Error parsing'),
    '/create-volumes': _operation('CREATE_VOLUMES', 'volumes', 'Error in parsing'),
    '/destroy-volumes': _operation('DESTROY_VOLUMES', 'volumes', 'Error in parsing'),
}
