# coding: utf-8
"""pymesos.local.model.validation: the rules of PROTOCOL 2.3, 5.4 and 8.4, with the texts that a real Mesos had."""
from __future__ import absolute_import, division, print_function

import io
import json
import os

import pytest

from pymesos.local import convert
from pymesos.local.model import amounts, regexes, state, validation
from pymesos.resources import Resources, parse

VECTORS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'vectors',
                       'local_validation.json')

with io.open(VECTORS, encoding='utf-8') as stream:
    SAID = json.load(stream)

PLAIN = {'user': 'u', 'name': 'n'}
WHERE = '; on agent AGENT at slave(1)@127.0.0.1:5051 (127.0.0.1)'
STACK = [{'type': 'DYNAMIC', 'role': 'r'}]


def make_agent(resources, agent_id='AGENT', capabilities=('TASK_RESOURCE_LIMITS',)):
    info = {'id': {'value': agent_id}, 'hostname': '127.0.0.1', 'resources': resources.to_list()}
    return state.Agent(info, 'slave(1)@127.0.0.1:5051', '1.11.0', [{'type': name} for name in capabilities], 0)


def make_framework(framework_id='FRAMEWORK', **info):
    return state.Framework(framework_id, convert.read('FrameworkInfo', dict(PLAIN, **info)), 0)


def multi_role(*roles, **info):
    info.setdefault('capabilities', []).append({'type': 'MULTI_ROLE'})
    return make_framework(roles=list(roles), **info)


def scalar(name, value, **fields):
    return dict(fields, name=name, type='SCALAR', scalar={'value': float(value)})


def make_task(task_id='t', **fields):
    made = {'name': 'n', 'task_id': {'value': task_id}, 'agent_id': {'value': 'AGENT'},
            'resources': [scalar('cpus', 0.1), scalar('mem', 32)], 'command': {'value': 'true'}}
    made.update(fields)
    return convert.read('TaskInfo', made)


def adopted_task(role='*', **fields):
    operation = {'type': 'LAUNCH', 'launch': {'task_infos': [make_task(**fields)]}}
    return amounts.adopted(operation, role, 'FRAMEWORK')['launch']['task_infos'][0]


class Scene(object):
    """A master's view at the time of an ACCEPT; what is taken is gone for the next."""

    def __init__(self, framework, role, offered, running=()):
        resources = parse(offered)
        self.framework, self.role, self.agent = framework, role, make_agent(resources)
        self.left = amounts.allocate(resources, role)
        for info in running:
            operation = {'type': 'LAUNCH', 'launch': {'task_infos': [make_task(executor=info)]}}
            info = amounts.adopted(operation, role, framework.id)['launch']['task_infos'][0]['executor']
            self._executors()[info['executor_id']['value']] = info

    def _executors(self):
        return self.agent.executors.setdefault(self.framework.id, {})

    def accept(self, operation):
        """The message for an operation, a list of them for the tasks of a launch."""
        operation = convert.read('Offer.Operation', operation)
        kind = operation['type']
        tasks = operation.get('launch', {}).get('task_infos', operation.get('launch_group', {}).get(
            'task_group', {}).get('tasks', ()))
        error = validation.operation_resources(operation)
        if kind not in ('LAUNCH', 'LAUNCH_GROUP'):
            return self._convert(operation) if error is None else (
                'Operation attempted with invalid resources: ' + error)
        if error is None and 'id' in operation:
            error = 'The `id` field cannot be set on %s operations' % kind
        if error is not None:
            return [error] * len(tasks)
        body = amounts.adopted(operation, self.role, self.framework.id)[kind.lower()]
        if kind == 'LAUNCH':
            return [self._launch(task) for task in body.get('task_infos', ())]
        members = [dict(task, executor=task.get('executor', body['executor']))
                   for task in body['task_group'].get('tasks', ())]
        return [validation.group({'executor': body['executor'], 'task_group': {'tasks': members}}, self.framework,
                                 self.agent, self.left)] * len(tasks)

    def _launch(self, info):
        error = validation.task(info, self.framework, self.agent, self.left)
        if error is None:
            task = state.Task(info, self.framework.id)
            self.framework.tasks[task.id] = task
            self.left = self.left - task.resources
            executor = info.get('executor')
            if executor is not None and executor['executor_id']['value'] not in self._executors():
                self._executors()[executor['executor_id']['value']] = executor
                self.left = self.left - executor['resources']
        return error

    def _convert(self, operation):
        operation = amounts.adopted(operation, self.role, self.framework.id)
        error = validation.operation(operation, self.framework, self.agent, self.left)
        if error is None:
            self.left = amounts.converted(self.left, operation)
            self.agent.set_total(amounts.unallocate(self.left))
        return error


# What Mesos said.

def test_subscribe_is_refused_as_by_mesos():
    wrong = []
    for info, suppressed, constraints, wanted in SAID['subscribe']:
        call = dict(framework_info=info, suppressed_roles=suppressed, offer_constraints=constraints)
        read = convert.read('scheduler.Call.Subscribe', call)
        said = validation.framework(read['framework_info'], read.get('suppressed_roles', ()),
                                    read.get('offer_constraints'))
        if said != wanted:
            wrong.append((info, suppressed, constraints, wanted, said))
    assert len(SAID['subscribe']) > 150 and wrong == []


def test_operations_are_refused_as_by_mesos():
    wrong = []
    for accept in SAID['accept']:
        framework = make_framework(**accept['framework'])
        scene = Scene(framework, accept['role'], accept['offered'], accept['running'])
        for operation, wanted in accept['operations']:
            said = scene.accept(operation)
            if said != wanted:
                wrong.append((operation, wanted, said))
    assert len(SAID['accept']) > 140 and wrong == []


# Names (PROTOCOL 8.4).

@pytest.mark.parametrize('text', ['a', 'a b', '...', '.a', 'x' * 255, u'é' * 127, '*', '-', 'a:b', '\x80'])
def test_text_may_be_an_id(text):
    assert validation.id_(text) is None


@pytest.mark.parametrize('text, said', [
    ('', 'ID must not be empty'), ('x' * 256, 'ID must not be greater than 255 characters'),
    (u'é' * 128, 'ID must not be greater than 255 characters'),
    ('.', "'.' is disallowed"), ('..', "'..' is disallowed"),
    ('a/b', "'a/b' contains invalid characters"), ('a\\b', "'a\\b' contains invalid characters"),
    ('a\nb', "'a\nb' contains invalid characters"), ('\x7f', "'\x7f' contains invalid characters")])
def test_text_may_not_be_an_id(text, said):
    assert validation.id_(text) == said


@pytest.mark.parametrize('name', ['*', '**', 'a', 'a/b/c', '.a', 'a.', 'a-b', 'a/.b', u'é', 'a\x01'])
def test_text_may_be_a_role(name):
    assert validation.role(name) is None


@pytest.mark.parametrize('name, said', [
    ('', 'Role names cannot be the empty string'), ('/', "Role '/' cannot start with a slash"),
    ('a/', "Role 'a/' cannot end with a slash"), ('a//b', "Role 'a//b' cannot contain two adjacent slashes"),
    ('a/.', "Role 'a/.' cannot include '.' as a component"), ('../a', "Role '../a' cannot include '..' as a component"),
    ('a/*', "Role 'a/*' cannot include '*' as a component"),
    ('a/-b', "Role component '-b' is invalid because it starts with a dash"),
    ('a/b c', "Role component 'b c' is invalid because it contains backspace or whitespace"),
    ('\x7f', "Role component '\x7f' is invalid because it contains backspace or whitespace")])
def test_text_may_not_be_a_role(name, said):
    assert validation.role(name) == said


# Frameworks (PROTOCOL 2.3).

def read_info(**info):
    return convert.read('FrameworkInfo', dict(PLAIN, **info))


@pytest.mark.parametrize('info, said', [
    (dict(role='c'), "Roles { c } are not present in the master's --roles"),
    (dict(role='a/x'), "Roles { a/x } are not present in the master's --roles"),
    (dict(roles=['a', 'c', 'd'], capabilities=[{'type': 'MULTI_ROLE'}]),
     "Roles { c, d } are not present in the master's --roles"),
    (dict(role='a'), None), (dict(role='*'), None), ({}, None),
    (dict(role='/c'), "'FrameworkInfo.role' is not a valid role: Role '/c' cannot start with a slash"),
    (dict(role='c', user='root', failover_timeout=1e30), "Roles { c } are not present in the master's --roles"),
    (dict(user='root', failover_timeout=1e30),
     "User 'root' is not allowed to run frameworks without --root_submissions set"),
])
def test_roles_and_root_may_be_forbidden(info, said):
    assert validation.framework(read_info(**info), allowed_roles=('a', 'b'), root_submissions=False) == said


def test_suppressed_roles_are_looked_at_after_the_whitelist_and_before_root():
    said = "Suppressed role 'z' is not contained in the list of roles"
    assert validation.framework(read_info(user='root'), ['z'], None, ('a',), False) == said
    assert validation.framework(read_info(role='c'), ['z'], None, ('a',)).startswith('Roles { c }')


def test_removed_framework_is_refused_before_its_timeout_and_constraints_but_after_its_roles():
    constraints = convert.read('scheduler.OfferConstraints', {'role_constraints': {'*': {}}})
    info = read_info(failover_timeout=1e30)
    assert validation.framework(info, (), constraints, is_removed=True) == 'Framework has been removed'
    assert validation.framework(info, (), constraints) == 'The framework failover_timeout (1e+30) is invalid'
    assert 'start with a slash' in validation.framework(read_info(role='/'), is_removed=True)


def test_principal_never_changes_and_user_and_checkpoint_not_by_update():
    old = read_info(principal='p')
    said = "Changing framework's principal is not allowed."
    for new in (read_info(), read_info(principal='q'), read_info(principal='q', user='x', checkpoint=True)):
        assert validation.framework_change(old, new) == said
        assert validation.framework_change(old, new, is_update=True) == said
    for change, what in ((dict(user='x'), "user' is unsupported; attempted to update from 'u' to 'x'"),
                         (dict(checkpoint=True),
                          "checkpoint' is unsupported; attempted to update from 'false' to 'true'")):
        new = read_info(principal='p', **change)
        assert validation.framework_change(old, new) is None
        assert validation.framework_change(old, new, is_update=True) == "Updating 'FrameworkInfo." + what
    assert validation.framework_change(old, read_info(principal='p', name='x'), is_update=True) is None


def test_connections_principal_must_be_that_of_the_framework_if_that_names_one():
    def call(**info):
        return convert.read('scheduler.Call', {'type': 'SUBSCRIBE', 'subscribe': {
            'framework_info': dict(PLAIN, **info)}})

    assert validation.scheduler_call(call(), 'user') is None
    assert validation.scheduler_call(call(principal='user'), 'user') is None
    assert validation.scheduler_call(call(principal='other')) is None
    assert validation.scheduler_call(call(principal='other'), 'user') == (
        "Authenticated principal 'user' does not match principal 'other' set in `FrameworkInfo`")


# Regular expressions: RE2 counts the size of its program.

@pytest.mark.parametrize('regex, size', [
    ('', 0), ('b', 1), ('b*', 1), ('b+', 2), ('b?', 2), ('b*?', 1), ('(b)', 3), ('(?:b|c)', 1), ('(?:bb|cc)', 4),
    ('(?:bb|bc)', 2), ('(?:b||c)', 3), ('(?:b|cc|ddd)', 6), ('.', 8), ('(?s).', 7), ('.*b.*', 17), ('[b-dx-z]', 2),
    ('[b-zB-Z]', 1), ('[0-9a-z]', 2), (r'\d', 1), (r'\w', 3), (r'\s', 3), (r'\D', 8), (r'\W', 11), (r'\S', 10),
    ('[^a-z]', 8), ('^', 1), ('$', 0), (r'\b', 1), (r'\z', 0), (u'é', 2), (r'\x{10FFFF}', 4), ('(?i)k', 4),
    ('(?i)[a-z]', 6), ('b{2,4}', 6), ('b{2,}', 3), ('b{0}', 0), ('(b*)+', 4), ('()', 2), ('[[:^alpha:]]', 9),
    (r'\Q.*\E', 2), ('[a-zA-Z0-9_.-]+', 5), ('(?:abc|abd)', 3), ('(?:foo|bar)-[0-9]+', 9), ('rack-(1|2|3)', 8),
    ('x*y*', 3), ('(?:b|)', 2)])
def test_size_of_a_regular_expression_is_counted_as_by_re2(regex, size):
    # 97 more make it too complex, and the complaint tells the size.
    said = regexes.complaint('a{100}' + regex)
    assert said.endswith(' is too complex: program size of %d is larger than maximum of 100 allowed' % (104 + size))


@pytest.mark.parametrize('regex', ['(' * 200 + ')' * 200, '[[:foo:]]', r'\p', '(?', '(?i', '(?P<', '[', r'[\p{Lu}]',
                                   r'[\d', 'a{5000}', '((a{50}){50}){50}', r'\x{ffffffffffff}'])
def test_odd_regular_expression_is_refused_with_its_text(regex):
    assert regexes.complaint(regex).startswith("Failed to construct regex from pattern '%s': " % regex)


# Offers.

def make_offer(name, framework_id='FRAMEWORK', agent_id='AGENT', role='*'):
    return state.Offer(name, framework_id, agent_id, role, Resources())


def test_offers_must_be_distinct_out_mine_of_one_role_and_of_one_agent():
    offers = dict((offer.id, offer) for offer in (
        make_offer('O1'), make_offer('O2'), make_offer('O3', role='r'), make_offer('O4', agent_id='OTHER'),
        make_offer('O5', framework_id='F2')))

    def check(*names):
        return validation.offers([{'value': name} for name in names], make_framework(), offers)

    assert check('O1') is None and check('O1', 'O2') is None
    assert check() == 'No offers specified'
    assert check('O1', 'O9', 'O1') == 'Duplicate offer O1 in offer list'
    assert check('O5', 'O9') == 'Offer O9 is no longer valid'
    assert check('O3', 'O5') == 'Offer O5 has invalid framework F2 while framework FRAMEWORK is expected'
    assert check('O4', 'O3') == ("Aggregated offers must be allocated to the same role. Offer O3 uses role 'r but "
                                 "another is using role '*")
    assert check('O1', 'O4') == ('Aggregated offers must belong to one single agent. Offer O4 uses agent OTHER and '
                                 'agent AGENT')


def test_inverse_offers_must_be_distinct_out_mine_and_of_one_agent():
    offers = dict((offer.id, offer) for offer in (
        state.InverseOffer('O1', 'FRAMEWORK', 'AGENT', {}), state.InverseOffer('O2', 'F2', 'AGENT', {}),
        state.InverseOffer('O3', 'FRAMEWORK', 'OTHER', {})))

    def check(*names):
        return validation.inverse_offers([{'value': name} for name in names], make_framework(), offers)

    assert check('O1') is None
    assert check('O1', 'O1') == 'Duplicate offer O1 in offer list'
    assert check('O9') == 'Inverse offer O9 is no longer valid'
    assert 'has invalid framework F2' in check('O2') and 'one single agent' in check('O1', 'O3')


# Launches (PROTOCOL 5.4): what no exchange above shows.

def scene(offered='cpus:4;mem:4096;disk:1000;ports:[1-9]', framework=None, role='*'):
    return Scene(framework or make_framework(), role, offered)


def check_task(at, **fields):
    return validation.task(adopted_task(at.role, **fields), at.framework, at.agent, at.left)


def test_id_of_a_task_is_free_once_it_is_acknowledged_but_not_if_it_is_unreachable():
    at = scene()
    assert check_task(at) is None
    at.framework.unreachable_tasks['t'] = None
    assert check_task(at) == 'Task reuses the ID of an unreachable task: t'
    at.framework.tasks['t'] = None
    assert check_task(at) == 'Task has duplicate ID: t'


def test_id_may_not_be_twice_in_a_group():
    executor = {'type': 'CUSTOM', 'executor_id': {'value': 'e'}, 'framework_id': {'value': 'FRAMEWORK'},
                'command': {'value': 'x'}, 'resources': [scalar(name, 32) for name in ('cpus', 'mem', 'disk')]}
    at = scene()
    member = dict(adopted_task(), executor=executor)
    launch = {'executor': executor, 'task_group': {'tasks': [member, member]}}
    assert validation.group(launch, at.framework, at.agent, at.left) == "Task 't' is invalid: Task has duplicate ID: t"


def test_limits_need_an_agent_that_knows_them():
    at = scene()
    at.agent.capabilities = []
    said = check_task(at, limits={'cpus': {'value': 1}})
    assert said == 'Agent is not capable of handling task resource limits'
    at = scene()
    for limits in ({'cpus': {'value': 'Infinity'}}, {'mem': {'value': 'Infinity'}}, {'cpus': {'value': 0.1}},
                   {'mem': {'value': 32}}):
        assert check_task(at, limits=limits) is None


def test_rules_are_in_the_order_of_the_protocol():
    at = scene()
    broken = [
        ('kill_policy', {'grace_period': {'nanoseconds': -1}}, 'kill_policy'),
        ('max_completion_time', {'nanoseconds': -1}, 'max_completion_time'),
        ('check', {}, 'CheckInfo'), ('health_check', {}, 'HealthCheck'), ('resources', [], 'no resources'),
        ('command', {'environment': {'variables': [{'name': 'x'}]}}, '`CommandInfo`'),
        ('container', {'type': 'DOCKER'}, '`ContainerInfo`'), ('limits', {'x': {'value': 1}}, 'Only cpus and mem'),
        ('executor', {'executor_id': {'value': '/'}}, 'one (but not both)')]
    while broken:
        fields = dict((name, value) for name, value, _ in broken)
        assert broken[0][2] in check_task(at, agent_id={'value': 'AGENT'}, **fields)
        broken.pop(0)
    assert 'invalid agent OTHER' in check_task(at, agent_id={'value': 'OTHER'}, kill_policy={
        'grace_period': {'nanoseconds': -1}})


def test_executor_is_the_same_in_another_order_and_with_other_labels():
    one = convert.read('ExecutorInfo', {
        'executor_id': {'value': 'e'}, 'resources': [scalar('cpus', 1), scalar('mem', 32)],
        'command': {'value': 'x', 'uris': [{'value': 'a'}, {'value': 'b'}], 'environment': {
            'variables': [{'name': 'a', 'value': '1'}, {'name': 'b', 'value': '2'}]}}, 'labels': {}})
    other = json.loads(json.dumps(one))
    other['resources'].reverse()
    other['command']['uris'].reverse()
    other['command']['environment']['variables'].reverse()
    other.update(labels={'labels': [{'key': 'k'}]}, shutdown_grace_period={'nanoseconds': 1})
    assert validation.is_same_executor(one, other)
    for change in (dict(name='x'), dict(data='YQ=='), dict(source='s'), dict(type='CUSTOM'), dict(resources=[]),
                   dict(discovery={'visibility': 'CLUSTER'}), dict(container={'type': 'MESOS'}),
                   dict(command=dict(one['command'], user='u'))):
        assert not validation.is_same_executor(one, dict(one, **change)), change


def test_running_executor_costs_nothing_again():
    at = scene('cpus:1;mem:100')
    executor = {'executor_id': {'value': 'e'}, 'command': {'value': 'x'},
                'resources': [scalar('cpus', 0.9), scalar('mem', 32)]}
    assert at.accept({'type': 'LAUNCH', 'launch': {'task_infos': [
        make_task('1', command=None, executor=executor), make_task('2', command=None, executor=executor)]}}) == [
            None, 'Total resources cpus(allocated: *):0.1; mem(allocated: *):32 required by task and its executor is '
                  'more than available mem(allocated: *):36']


def test_all_tasks_of_an_executor_share_its_cgroups_or_none():
    at = scene()
    executor = {'type': 'CUSTOM', 'executor_id': {'value': 'e'}, 'framework_id': {'value': 'FRAMEWORK'},
                'command': {'value': 'x'}, 'resources': []}
    alone = {'type': 'MESOS', 'linux_info': {'share_cgroups': False}}
    running = state.Task(adopted_task(task_id='r', container=alone), 'FRAMEWORK', 'e')
    executor['resources'] = [dict(item, allocation_info={'role': '*'}) for item in (
        scalar('cpus', 1), scalar('mem', 32), scalar('disk', 1))]
    at.framework.tasks['r'] = running
    at.framework.executors['AGENT'] = {'e': executor}
    for container, said in ((None, 'If set, the value of'), (alone, None)):
        member = dict(adopted_task(container=container), executor=executor)
        got = validation.group({'executor': executor, 'task_group': {'tasks': [member]}}, at.framework, at.agent,
                               at.left)
        assert got is None if said is None else got.startswith(said)


# Operations: what no exchange above shows.

def volume(size=2, persistence='p', **fields):
    return scalar('disk', size, reservations=STACK, disk={
        'persistence': {'id': persistence}, 'volume': {'mode': 'RW', 'container_path': 'x'}}, **fields)


def operation(kind, **body):
    return {'type': kind, 'id': {'value': 'o'}, kind.lower(): body}


def reserved_scene(*capabilities):
    at = scene('cpus:4;disk:1000', multi_role('r', capabilities=[{'type': name} for name in capabilities]), 'r')
    assert at.accept(operation('RESERVE', resources=[scalar('disk', 10, reservations=STACK)])) is None
    return at


def test_volume_that_was_made_can_be_used_grown_shrunk_and_destroyed():
    at = reserved_scene()
    assert at.accept(operation('CREATE', volumes=[volume()])) is None
    assert at.accept(operation('CREATE', volumes=[volume(1)])) == "Persistence ID 'p' is not unique" + WHERE
    addition = scalar('disk', 3, reservations=STACK)
    assert at.accept(operation('GROW_VOLUME', volume=volume(), addition=addition)) is None
    assert at.accept(operation('SHRINK_VOLUME', volume=volume(5), subtract={'value': 1})) is None
    mounted = volume(4)
    mounted['disk']['volume']['container_path'] = 'elsewhere'
    assert validation.task(adopted_task('r', resources=[mounted]), at.framework, at.agent, at.left) is None
    assert at.accept(operation('DESTROY', volumes=[volume(4)])) is None
    assert at.accept(operation('DESTROY', volumes=[volume(4)])) == 'Persistent volumes not found' + WHERE
    assert at.accept(operation('UNRESERVE', resources=[scalar('disk', 10, reservations=STACK)])) is None
    assert at.left == amounts.allocate(parse('cpus:4;disk:1000'), 'r')


def test_volume_in_use_is_not_destroyed():
    at = reserved_scene()
    assert at.accept(operation('CREATE', volumes=[volume()])) is None
    task = state.Task(adopted_task('r', resources=[volume()]), 'FRAMEWORK')
    at.agent.tasks['FRAMEWORK', 't'] = task
    assert at.accept(operation('DESTROY', volumes=[volume()])) == 'Persistent volumes in use' + WHERE


def test_shared_volume_is_not_destroyed_while_there_are_copies():
    at = reserved_scene('SHARED_RESOURCES')
    shared = volume(shared={})
    assert at.accept(operation('CREATE', volumes=[shared])) is None
    at.left = at.left + amounts.allocate(Resources([shared]), 'r')
    assert at.accept(operation('DESTROY', volumes=[shared])) == (
        'Persistent volume disk(allocated: r)(reservations: [(DYNAMIC,r)])[p:x]<SHARED>:2 cannot be removed due to '
        'additional shared copies')


def test_unknown_operation_is_refused():
    for given in ({}, {'type': 'UNKNOWN'}):
        assert validation.operation_resources(given) == 'Unknown offer operation'


def test_disks_cannot_be_made_without_a_provider():
    at = scene('disk:1', make_framework())
    for kind, more in (('CREATE_DISK', {'target_type': 'MOUNT'}), ('DESTROY_DISK', {})):
        said = at.accept(operation(kind, source=scalar('disk', 1), **more))
        assert said == "'source' is not managed by a resource provider" + WHERE


@pytest.mark.parametrize('kind, body, principal, said', [
    ('RESERVE', dict(resources=[scalar('cpus', 1, reservations=STACK)]), None, None),
    ('RESERVE', dict(resources=[scalar('cpus', 1, reservations=STACK)]), 'p',
     "A reserve operation was attempted by principal 'p', but there is a reserved resource in the request with no "
     "principal set"),
    ('RESERVE', dict(resources=[scalar('cpus', 1, reservations=STACK, allocation_info={'role': 'r'})]), None,
     'A reserve operation was attempted with an allocated resource, but the operator API only allows reservations to '
     'be made to unallocated resources'),
    ('RESERVE', dict(resources=[scalar('cpus', 1)]), None, 'Resource cpus:1 is not dynamically reserved'),
    ('RESERVE', dict(source=[scalar('cpus', 1)], resources=[scalar('cpus', 1, reservations=STACK)]), None, None),
    ('RESERVE', dict(source=[scalar('cpus', 2)], resources=[scalar('cpus', 1, reservations=STACK)]), None,
     'Source and target resources should refer to identical resource quantities: cpus:2 vs. cpus:1'),
    ('RESERVE', dict(source=[scalar('cpus', 2)], resources=[]), None,
     'Invalid resources: Resource cannot be empty'),
    ('UNRESERVE', dict(resources=[scalar('cpus', 1, reservations=STACK)]), None, None),
    ('CREATE', dict(volumes=[volume(shared={})]), None, None),
    ('CREATE', dict(volumes=[volume(), volume()]), None, "Persistence ID 'p' is not unique"),
    ('DESTROY', dict(volumes=[volume()]), None, 'Persistent volumes not found'),
])
def test_operators_operation_is_looked_at_without_roles_or_a_framework(kind, body, principal, said):
    agent = make_agent(parse('cpus:4;disk:100'))
    given = amounts.adopted({'type': kind, kind.lower(): body}, None, None)
    assert validation.operator_operation(given, agent, principal) == said


def test_mixed_reservations_are_no_source():
    agent = make_agent(parse('cpus:4'))
    items = [scalar('cpus', 1, reservations=STACK), scalar('cpus', 1)]
    given = amounts.adopted(operation('RESERVE', source=items, resources=items), None, None)
    assert validation.operator_operation(given, agent).startswith(
        'Invalid source: Mixed reservations are not supported[{"name":"cpus"')
