"""What operators order of the embedded master: codes and texts are those that a Mesos 1.11 gave (PROTOCOL 4.1)."""
from __future__ import absolute_import, division, print_function

import pytest
from local_master import command_task, framework_info, resources, scalar
from local_operator import Desk, dynamic, two_agents, value, volume

MULTI = ['MULTI_ROLE', 'RESERVATION_REFINEMENT', 'SHARED_RESOURCES']


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def agent(desk):
    return two_agents(desk)[0]


def engineers(desk, **fields):
    return desk.framework(framework_info(roles=['eng'], capabilities=MULTI, **fields))


# Weights.

@pytest.mark.parametrize('info, text', [
    ({'role': 'eng', 'weight': 0}, " for role 'eng': Invalid weight '0': Weights must be positive"),
    ({'role': 'eng', 'weight': -1}, " for role 'eng': Invalid weight '-1': Weights must be positive"),
    ({'role': '/x', 'weight': 1}, ": Invalid role '/x': Role '/x' cannot start with a slash"),
    ({'weight': 2.0}, ": Invalid role '': Role names cannot be the empty string"),
])
def test_weights_that_cannot_be_are_refused(desk, info, text):
    refused = 400, 'Failed to validate update weights request JSON' + text
    assert desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'ok', 'weight': 2.0}, info]) == refused
    assert desk.look('GET_WEIGHTS') is None


def test_weights_are_kept_and_the_last_of_a_role_counts(desk):
    infos = [{'role': '*', 'weight': 2}, {'role': 'eng', 'weight': 2}, {'role': ' eng ', 'weight': 2.5}]
    assert desk.ask('UPDATE_WEIGHTS', weight_infos=infos) == (200, None)
    assert desk.look('GET_WEIGHTS') == {'weight_infos': [{'role': '*', 'weight': 2.0}, {'role': 'eng', 'weight': 2.5}]}


def test_no_weights_are_fine(desk):
    assert desk.ask('UPDATE_WEIGHTS', weight_infos=[]) == (200, None)


def test_weight_of_a_role_off_the_whitelist_is_refused():
    desk = Desk(roles=('eng',))
    assert desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'ops', 'weight': 2.0}]) == (
        400, "Failed to validate update weights request JSON: Unknown role 'ops'")


def test_new_weight_of_a_role_in_use_rescinds_all_offers(desk, agent):
    framework = engineers(desk)
    desk.wait(1)
    desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'ops', 'weight': 2.0}])
    assert framework.rescinded() == []
    desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'eng', 'weight': 2.0}])
    assert sorted(framework.rescinded()) == sorted(offer['id']['value'] for offer in framework.offers())


def test_weight_decides_who_is_offered_more(desk):
    for port in range(8):
        desk.agent(6000 + port)
    desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'eng', 'weight': 3.0}])
    ours = engineers(desk)
    theirs = desk.framework(framework_info(role='ops'))
    desk.wait(1)
    assert (len(ours.offers()), len(theirs.offers())) == (6, 2)


# Quotas.

def config(role='q', guarantees=None, limits=None):
    found = {'role': role}
    for name, amounts in (('guarantees', guarantees), ('limits', limits)):
        if amounts is not None:
            found[name] = dict((key, value(amount)) for key, amount in amounts.items())
    return found


@pytest.mark.parametrize('wanted, text', [
    (config('a b', limits={'cpus': 1}), "Invalid QuotaConfig: Invalid 'QuotaConfig.role': Role component 'a b' is "
                                        "invalid because it contains backspace or whitespace"),
    (config('', limits={'cpus': 1}), "Invalid QuotaConfig: Invalid 'QuotaConfig.role': Role names cannot be the empty "
                                     "string"),
    (config(guarantees={'cpus': 1, 'mem': 5}, limits={'cpus': 0.5, 'mem': 10}),
     "Invalid QuotaConfig: 'QuotaConfig.guarantees' { mem: 5, cpus: 1 } is not contained within the "
     "'QuotaConfig.limits' { mem: 10, cpus: 0.5 }"),
    (config(guarantees={'cpus': -2}), "Invalid QuotaConfig: Invalid guarantee configuration {'cpus': -2}: Negative "
                                      "values not supported"),
    (config(limits={'cpus': -2}), "Invalid QuotaConfig: Invalid limit configuration {'cpus': -2}: Negative values not "
                                  "supported"),
    (config(limits={'cpus': 'Infinity'}), "Invalid QuotaConfig: Invalid 'QuotaConfig.limits': {'cpus': "
                                          "-9.22337203685478e+15} is invalid: values greater than 1 trillion "
                                          "(1000000000000) are not supported"),
    (config(guarantees={'cpus': 1e13}), "Invalid QuotaConfig: Invalid 'QuotaConfig.guarantees': {'cpus': "
                                        "10000000000000} is invalid: values greater than 1 trillion (1000000000000) "
                                        "are not supported"),
    (config('q/a', limits={'cpus': 1}), "Updating quota on nested role 'q/a' is not supported yet"),
    (config(guarantees={'cpus': 2000}), "Invalid QuotaConfig: total quota guarantees 'cpus:2000' exceed cluster "
                                        "capacity 'cpus:7; disk:15000; mem:6144' (use 'force' flag to bypass this "
                                        "check)"),
])
def test_quota_that_cannot_be_is_refused(desk, agent, wanted, text):
    assert desk.ask('UPDATE_QUOTA', quota_configs=[wanted]) == (400, text)
    assert desk.look('GET_QUOTA') == {'status': {}}


def test_quota_is_kept_and_shown_in_both_ways(desk, agent):
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config(guarantees={'cpus': 1}, limits={'cpus': 2}),
                                                   config('*', limits={'mem': 5})]) == (200, None)
    assert desk.look('GET_QUOTA') == {'status': {
        'infos': [{'role': '*'}, {'role': 'q', 'guarantee': [scalar('cpus', 1)]}],
        'configs': [{'role': '*', 'limits': {'mem': value(5.0)}},
                    {'role': 'q', 'guarantees': {'cpus': value(1.0)}, 'limits': {'cpus': value(2.0)}}]}}


def test_quota_that_is_taken_back_leaves_a_trace(desk, agent):
    desk.ask('UPDATE_QUOTA', quota_configs=[config(limits={'cpus': 2})])
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config(guarantees={'cpus': 0.0001})]) == (200, None)
    assert desk.look('GET_QUOTA') == {'status': {'infos': [{'role': 'q'}], 'configs': [{'role': 'q'}]}}


def test_quota_can_be_forced(desk):
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config(guarantees={'cpus': 2000})], force=True) == (200, None)


def test_limit_below_what_is_used_is_refused(desk, agent):
    engineers(desk)
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 2, **dynamic('eng'))])
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config('eng', limits={'cpus': 1})]) == (
        400, "Invalid QuotaConfig: Role 'eng' is already consuming 'cpus:2'; this is more than the requested limits "
             "'cpus:1' (use 'force' flag to bypass this check)")


def test_limit_is_kept_by_the_allocator_and_offers_above_it_are_rescinded(desk, agent):
    framework = engineers(desk)
    desk.wait(1)
    assert sum(resource['scalar']['value'] for offer in framework.offers() for resource in offer['resources']
               if resource['name'] == 'cpus') == 6
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config('eng', limits={'cpus': 3})]) == (200, None)
    assert len(framework.rescinded()) in (1, 2)
    desk.wait(1)
    offered = desk.look('GET_ROLES')['roles'][0]['resources'][0]
    assert offered['scalar']['value'] <= 3


def test_quota_outlives_the_master(desk, agent):
    desk.ask('UPDATE_QUOTA', quota_configs=[config('eng', limits={'cpus': 3})])
    desk.ask('UPDATE_WEIGHTS', weight_infos=[{'role': 'eng', 'weight': 2.0}])
    desk.lead(desk.model.registry())
    agent.reregister()
    framework = engineers(desk)
    desk.wait(1)
    assert [resource['scalar']['value'] for offer in framework.offers() for resource in offer['resources']
            if resource['name'] == 'cpus'] == [3.0]
    assert desk.look('GET_WEIGHTS') == {'weight_infos': [{'role': 'eng', 'weight': 2.0}]}


START = 'Failed to validate set quota request: '


@pytest.mark.parametrize('request_, text', [
    ({'guarantee': resources(1, 1)}, START + 'QuotaInfo with invalid role: Role names cannot be the empty string'),
    ({'role': 't'}, START + "QuotaInfo with empty 'guarantee'"),
    ({'role': 't', 'guarantee': [scalar('cpus', 1, role='x')]}, START + 'QuotaInfo must not contain any '
                                                                        'ReservationInfo'),
    ({'role': 't', 'guarantee': [scalar('cpus', 1, **dynamic('x'))]}, START + 'QuotaInfo must not contain any '
                                                                              'ReservationInfo'),
    ({'role': 't', 'guarantee': [scalar('cpus', 1), scalar('cpus', 2)]}, START + "QuotaInfo contains duplicate resource"
                                                                                 " name 'cpus'"),
    ({'role': 't', 'guarantee': [{'name': 'ports', 'type': 'RANGES', 'ranges': {'range': [{'begin': 1, 'end': 2}]}}]},
     START + 'QuotaInfo must not include non-scalar resources'),
    ({'role': 't', 'guarantee': [scalar('cpus', 1, revocable={})]}, START + 'QuotaInfo must not contain RevocableInfo'),
    ({'role': 't', 'guarantee': [scalar('disk', 1, disk={'source': {'type': 'PATH'}})]}, START + 'QuotaInfo must not '
                                                                                                 'contain DiskInfo'),
    ({'role': 't', 'guarantee': [scalar('cpus', -1)]}, START + "QuotaInfo with invalid resource: Resource 'cpus:-1' is "
                                                               "invalid: Invalid scalar resource: value <= 0"),
    ({'role': 's/x', 'guarantee': [scalar('cpus', 100)], 'force': True},
     START + "Invalid quota configuration. Parent role 's' with guarantees (cpus:1) does not contain the sum of its "
             "children's guarantees (cpus:100)"),
    ({'role': 'n/x', 'guarantee': [scalar('cpus', 1)]},
     START + "Invalid quota configuration. Parent role 'n' with guarantees ({}) does not contain the sum of its "
             "children's guarantees (cpus:1)"),
    ({'role': 's/x', 'guarantee': [scalar('cpus', 1)]}, "Setting quota on nested role 's/x' is not supported yet"),
    ({'role': 's', 'guarantee': [scalar('cpus', 2)]}, START + "Cannot set quota for role 's' which already has quota"),
])
def test_older_quota_that_cannot_be_is_refused(desk, agent, request_, text):
    assert desk.ask('SET_QUOTA', quota_request={'role': 's', 'guarantee': [scalar('cpus', 1)]}) == (200, None)
    assert desk.ask('SET_QUOTA', quota_request=request_) == (400, text)


def test_older_quota_above_what_there_is_is_a_conflict(desk, agent):
    wanted = {'role': 't', 'guarantee': [scalar('cpus', 101)]}
    assert desk.ask('SET_QUOTA', quota_request=wanted) == (
        409, "Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total quota guarantees "
             "'cpus:101' exceed cluster capacity 'cpus:7; disk:15000; mem:6144'")
    assert desk.ask('SET_QUOTA', quota_request=dict(wanted, force=True)) == (200, None)


def test_older_quota_is_limit_and_guarantee_and_can_be_removed(desk, agent):
    desk.ask('SET_QUOTA', quota_request={'role': 's', 'guarantee': [scalar('cpus', 1)]})
    assert desk.look('GET_QUOTA')['status']['configs'] == [
        {'role': 's', 'guarantees': {'cpus': value(1.0)}, 'limits': {'cpus': value(1.0)}}]
    assert desk.ask('REMOVE_QUOTA', role='s') == (200, None)
    assert desk.look('GET_QUOTA') == {'status': {}}
    # A real 1.11 crashes here.
    assert desk.ask('REMOVE_QUOTA', role='s') == (400, "Failed to remove quota: Role 's' has no quota set")


def test_guarantee_rescinds_offers_until_there_is_room_for_it(desk, agent):
    framework = engineers(desk)
    desk.wait(1)
    desk.ask('SET_QUOTA', quota_request={'role': 's', 'guarantee': [scalar('cpus', 1)]})
    assert len(framework.rescinded()) == 1


def test_guarantee_that_is_met_already_rescinds_nothing(desk, agent):
    framework = engineers(desk)
    desk.wait(1)
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config('eng', guarantees={'cpus': 2})]) == (200, None)
    assert framework.rescinded() == []


def test_agents_that_are_deactivated_count_for_guarantees(desk, agent):
    for one in list(desk.model.agents):
        desk.ask('DEACTIVATE_AGENT', agent_id=value(one))
    assert desk.ask('UPDATE_QUOTA', quota_configs=[config('eng', guarantees={'cpus': 2})]) == (200, None)


# Reservations and volumes.

def where(agent):
    return 'on agent %s at %s (127.0.0.1): ' % (agent.id, agent.pid)


@pytest.mark.parametrize('kind', ['RESERVE_RESOURCES', 'UNRESERVE_RESOURCES'])
def test_reservation_on_an_unknown_agent_is_refused(desk, kind):
    assert desk.ask(kind, agent_id=value('nope'), resources=[scalar('cpus', 1, **dynamic('eng'))]) == (
        400, 'No agent found with specified ID')


@pytest.mark.parametrize('kind', ['CREATE_VOLUMES', 'DESTROY_VOLUMES'])
def test_volume_on_an_unknown_agent_is_refused(desk, kind):
    assert desk.ask(kind, agent_id=value('nope'), volumes=[volume(1)]) == (400, 'No agent found with specified ID')


@pytest.mark.parametrize('wanted, text', [
    ([], 'Invalid resources: The resources have multiple resource providers: '),
    ([scalar('cpus', 1)], 'Resource cpus:1 is not dynamically reserved'),
    ([scalar('cpus', 1, role='eng')], 'Resource cpus(reservations: [(STATIC,eng)]):1 is not dynamically reserved'),
    ([scalar('cpus', 1, revocable={}, **dynamic('eng'))],
     'Invalid resources: Invalid ReservationInfo: Dynamically reserved resource cpus(reservations: [(DYNAMIC,eng)])'
     '{REV}:1 cannot be created from revocable resources'),
    ([scalar('cpus', 1, allocation_info={'role': 'eng'}, **dynamic('eng'))],
     'A reserve operation was attempted with an allocated resource, but the operator API only allows reservations to '
     'be made to unallocated resources'),
])
def test_reservation_that_cannot_be_is_refused(desk, agent, wanted, text):
    assert desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=wanted) == (
        400, 'Invalid RESERVE operation ' + where(agent) + text)


def test_reservation_of_what_is_not_there_is_a_conflict(desk, agent):
    assert desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 100, **dynamic('eng'))]) \
        == (409, 'cpus:4; mem:4096; disk:10000; ports:[31000-31499] does not contain cpus:100')


def test_reservation_in_either_format_is_told_to_the_agent_and_shown(desk, agent):
    assert desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id),
                    resources=[scalar('cpus', 1, role='eng', reservation={'principal': 'x'})]) == (202, None)
    told = agent.told('APPLY')[-1]
    assert (told['operation']['type'], told['framework_id']) == ('RESERVE', None)
    reserved = scalar('cpus', 1, **dynamic('eng', principal='x'))
    assert reserved in told['total']
    shown = desk.look('GET_AGENTS')['agents'][0]['total_resources']
    assert dict(reserved, role='eng', reservation={'principal': 'x'}) in shown
    assert scalar('cpus', 3, role='*') in shown


def test_reservation_is_pending_until_the_agent_has_done_it(desk, agent):
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 1, **dynamic('eng'))])
    shown = desk.look('GET_OPERATIONS')['operations']
    assert [sorted(operation) for operation in shown] == [['agent_id', 'info', 'latest_status', 'uuid']]
    assert shown[0]['latest_status'] == {'state': 'OPERATION_PENDING', 'agent_id': value(agent.id)}
    agent.say('OPERATION_STATUS', framework_id=None, operation_uuid=shown[0]['uuid']['value'],
              status={'state': 'OPERATION_FINISHED'}, latest={'state': 'OPERATION_FINISHED'})
    assert desk.look('GET_OPERATIONS') == {}


def test_reserved_resources_are_offered_to_their_role_only(desk, agent):
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 4, **dynamic('eng'))])
    other, ours = desk.framework(), engineers(desk)
    desk.wait(1)
    for framework, has_them in ((other, False), (ours, True)):
        names = [resource.get('reservations') for offer in framework.offers() for resource in offer['resources']
                 if offer['agent_id']['value'] == agent.id and resource['name'] == 'cpus']
        assert bool(names) == has_them


@pytest.mark.parametrize('wanted, code, text', [
    ([], 400, 'Invalid UNRESERVE operation: Invalid resources: The resources have multiple resource providers: '),
    ([scalar('cpus', 1)], 400, 'Invalid UNRESERVE operation: Resource cpus:1 is not dynamically reserved'),
    ([volume(100)], 400, 'Invalid UNRESERVE operation: A dynamically reserved persistent volume disk(reservations: '
                         '[(DYNAMIC,eng)])[v1:data]:100 cannot be unreserved directly. Please destroy the persistent '
                         'volume first then unreserve the resource'),
    ([scalar('mem', 100, **dynamic('nope'))], 409,
     'mem:4096; disk:10000; ports:[31000-31499]; cpus:3; cpus(reservations: [(DYNAMIC,eng)]):1 does not contain '
     'mem(reservations: [(DYNAMIC,nope)]):100'),
])
def test_unreserving_what_is_not_reserved_is_refused(desk, agent, wanted, code, text):
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 1, **dynamic('eng'))])
    status, said = desk.ask('UNRESERVE_RESOURCES', agent_id=value(agent.id), resources=wanted)
    if code == 409:
        # In which order the resources of an agent are listed depends on its history.
        assert sorted(said.split(' does ')[0].split('; ')) == sorted(text.split(' does ')[0].split('; '))
        said = said.split(' does ')[1]
        text = text.split(' does ')[1]
    assert (status, said) == (code, text)


def test_unreserving_undoes_a_reservation_step_by_step(desk, agent):
    stack = [{'type': 'DYNAMIC', 'role': 'eng'}, {'type': 'DYNAMIC', 'role': 'eng/a'}]
    for depth in (1, 2):
        assert desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id),
                        resources=[scalar('cpus', 1, reservations=stack[:depth])]) == (202, None)
    for depth in (2, 1):
        assert desk.ask('UNRESERVE_RESOURCES', agent_id=value(agent.id),
                        resources=[scalar('cpus', 1, reservations=stack[:depth])]) == (202, None)
    assert agent.state.total.unreserved().cpus == 4


def test_reservation_can_be_made_of_another(desk, agent):
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 1, **dynamic('eng'))])
    assert desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('cpus', 1, **dynamic('ops'))],
                    source=[scalar('cpus', 1, **dynamic('eng'))]) == (202, None)
    assert agent.state.total.reserved('ops').cpus == 1


@pytest.mark.parametrize('wanted, code, text', [
    ([], 400, 'Invalid resources: The resources have multiple resource providers: '),
    ([scalar('disk', 1)], 400, 'Not a persistent volume: Resource disk:1 does not have DiskInfo'),
    ([volume(100, 'a/b')], 400, "Invalid resources: Invalid DiskInfo: Invalid persistence ID for persistent volume: "
                                "'a/b' contains invalid characters"),
    ([volume(100, 'old')], 400, "Persistence ID 'old' is not unique"),
])
def test_volume_that_cannot_be_is_refused(desk, agent, wanted, code, text):
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('disk', 1000, **dynamic('eng'))])
    assert desk.ask('CREATE_VOLUMES', agent_id=value(agent.id), volumes=[volume(1, 'old')]) == (202, None)
    assert desk.ask('CREATE_VOLUMES', agent_id=value(agent.id), volumes=wanted) == (
        code, 'Invalid CREATE operation ' + where(agent) + text)


def test_volumes_are_created_grown_shrunk_and_destroyed(desk, agent):
    reserved = scalar('disk', 1000, **dynamic('eng'))
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[reserved])
    for kind, body in (
            ('CREATE_VOLUMES', {'volumes': [volume(100), volume(50, 'v2', shared={})]}),
            ('GROW_VOLUME', {'volume': volume(100), 'addition': scalar('disk', 50, **dynamic('eng'))}),
            ('SHRINK_VOLUME', {'volume': volume(150), 'subtract': value(25.0)})):
        assert desk.ask(kind, agent_id=value(agent.id), **body) == (202, None)
    assert agent.state.total.contains([volume(125), volume(50, 'v2', shared={}), scalar('disk', 825, **dynamic('eng'))])
    assert desk.ask('DESTROY_VOLUMES', agent_id=value(agent.id), volumes=[volume(999)]) == (
        400, 'Invalid DESTROY operation: Persistent volumes not found')
    assert desk.ask('DESTROY_VOLUMES', agent_id=value(agent.id),
                    volumes=[volume(125), volume(50, 'v2', shared={})]) == (202, None)
    assert agent.state.total.contains([reserved])


@pytest.mark.parametrize('kind, body, text', [
    ('GROW_VOLUME', {'addition': scalar('disk', 50)},
     "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields"),
    ('SHRINK_VOLUME', {'subtract': value(225.0)},
     "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'"),
    ('SHRINK_VOLUME', {'subtract': value(0)}, "Value of 'ShrinkVolume.subtract' must be greater than zero"),
])
def test_volume_that_cannot_be_resized_is_left_alone(desk, agent, kind, body, text):
    desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id), resources=[scalar('disk', 100, **dynamic('eng'))])
    desk.ask('CREATE_VOLUMES', agent_id=value(agent.id), volumes=[volume(100)])
    assert desk.ask(kind, agent_id=value(agent.id), volume=volume(100), **body) == (
        400, 'Invalid %s operation %s%s' % (kind, where(agent), text))


@pytest.mark.parametrize('reserved, text', [
    ({'role': '*', 'reservation': {}}, 'Invalid reservation: role "*" cannot be dynamically reserved'),
    ({'reservations': [{'type': 'DYNAMIC', 'role': '*'}]}, 'Invalid reservation: role "*" cannot be reserved')])
def test_form_of_a_volume_is_looked_at_first(desk, agent, reserved, text):
    wrong = scalar('disk', 10, disk={'persistence': {'id': 'v'}, 'volume': {'mode': 'RW', 'container_path': 'd'}},
                   **reserved)
    assert desk.ask('SHRINK_VOLUME', agent_id=value(agent.id), volume=wrong, subtract=value(2.0)) == (400, text)
    assert desk.ask('GROW_VOLUME', agent_id=value(agent.id), volume=wrong, addition=scalar('disk', 1)) == (400, text)


def test_volume_without_an_agent_cannot_be_resized(desk):
    assert desk.ask('GROW_VOLUME', volume=volume(1), addition=scalar('disk', 1, **dynamic('eng'))) == (
        400, "Failed to validate master::Call: Expecting 'agent_id' to be present; only agent default resources are "
             "supported right now")


def test_offers_are_rescinded_for_an_operation_and_not_made_again_at_once(desk, agent):
    framework = engineers(desk)
    desk.wait(1)
    offer = [offer for offer in framework.offers() if offer['agent_id']['value'] == agent.id][0]
    assert desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id),
                    resources=[scalar('cpus', 1, **dynamic('ops'))]) == (202, None)
    assert framework.rescinded() == [offer['id']['value']]
    before = len(framework.offers())
    desk.wait(4)
    assert len(framework.offers()) == before
    desk.wait(2)
    assert len(framework.offers()) == before + 1


def test_offers_that_have_nothing_of_what_is_needed_stay(desk):
    agent = desk.agent(5051, resources(4, 4096))
    framework = engineers(desk)
    desk.wait(1)
    status, text = desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id),
                            resources=[scalar('gpus', 1, **dynamic('eng'))])
    assert (status, text) == (409, '{} does not contain gpus:1')
    assert framework.rescinded() == []


def test_operation_is_a_conflict_if_offers_are_not_enough(desk, agent):
    framework = engineers(desk)
    desk.wait(1)
    offer = [offer for offer in framework.offers() if offer['agent_id']['value'] == agent.id][0]
    framework.launch(offer, command_task('t', agent.id, 1, 64))
    desk.wait(6)
    status, text = desk.ask('RESERVE_RESOURCES', agent_id=value(agent.id),
                            resources=[scalar('cpus', 4, **dynamic('eng'))])
    assert (status, text.split(' does ')[1]) == (409, 'not contain cpus:4')
    assert len(framework.rescinded()) == 1


# Agents.

def test_drain_deactivates_shows_and_ends(desk, agent):
    framework = desk.framework()
    desk.wait(1)
    offer = [offer for offer in framework.offers() if offer['agent_id']['value'] == agent.id][0]
    framework.launch(offer, command_task('t', agent.id))
    agent.update(framework, 't', 'TASK_RUNNING')
    assert desk.ask('DRAIN_AGENT', agent_id=value(agent.id), max_grace_period={'seconds': 5, 'nanos': 7}) == (200, None)
    assert agent.told('DRAIN')[-1]['config'] == {'max_grace_period': {'nanoseconds': 5000000007}, 'mark_gone': False}
    shown = [known for known in desk.look('GET_AGENTS')['agents']
             if known['agent_info']['id']['value'] == agent.id][0]
    assert (shown['active'], shown['deactivated']) == (False, True)
    assert shown['drain_info'] == {'state': 'DRAINING', 'config': {
        'max_grace_period': {'nanoseconds': 5000000007}, 'mark_gone': False}}
    assert shown['estimated_drain_start_time']['nanoseconds'] == int(desk.world.time()) * 10 ** 9
    assert desk.ask('REACTIVATE_AGENT', agent_id=value(agent.id)) == (400, 'Agent is still in the DRAINING state')
    framework.acknowledge(agent.update(framework, 't', 'TASK_KILLED'))
    shown = [known for known in desk.look('GET_AGENTS')['agents']
             if known['agent_info']['id']['value'] == agent.id][0]
    assert shown['drain_info']['state'] == 'DRAINED'
    assert desk.ask('REACTIVATE_AGENT', agent_id=value(agent.id)) == (200, None)
    before = len(framework.offers())
    desk.wait(6)
    assert len(framework.offers()) > before


@pytest.mark.parametrize('kind, code, text', [
    ('DRAIN_AGENT', 400, 'Unknown agent'), ('DEACTIVATE_AGENT', 400, 'Unknown agent'),
    ('REACTIVATE_AGENT', 400, 'Agent is not deactivated'), ('MARK_AGENT_GONE', 404, "Agent 'nope' not found")])
def test_orders_for_unknown_agents_are_refused(desk, kind, code, text):
    assert desk.ask(kind, agent_id=value('nope')) == (code, text)


def test_deactivated_agent_is_not_offered_until_it_is_reactivated(desk, agent):
    framework = desk.framework()
    desk.wait(1)
    offers = dict((offer['agent_id']['value'], offer['id']['value']) for offer in framework.offers())
    assert desk.ask('REACTIVATE_AGENT', agent_id=value(agent.id)) == (400, 'Agent is not deactivated')
    for _ in range(2):
        assert desk.ask('DEACTIVATE_AGENT', agent_id=value(agent.id)) == (200, None)
    assert framework.rescinded() == [offers[agent.id]]
    desk.wait(10)
    assert len(framework.offers()) == 2
    assert desk.ask('REACTIVATE_AGENT', agent_id=value(agent.id)) == (200, None)
    desk.wait(0)
    assert len(framework.offers()) == 3


def test_orders_for_an_agent_that_is_away_wait_for_it(desk, agent):
    desk.lead(desk.model.registry())
    assert desk.ask('DEACTIVATE_AGENT', agent_id=value(agent.id)) == (200, None)
    assert desk.ask('DRAIN_AGENT', agent_id=value(agent.id)) == (200, None)
    agent.reregister()
    shown = desk.look('GET_AGENTS')['agents'][0]
    assert (shown['deactivated'], shown['drain_info']['state']) == (True, 'DRAINED')
    assert desk.ask('REACTIVATE_AGENT', agent_id=value(agent.id)) == (200, None)
    assert desk.look('GET_AGENTS')['agents'][0]['active']


def test_reactivation_of_an_agent_that_is_away_counts(desk, agent):
    desk.ask('DEACTIVATE_AGENT', agent_id=value(agent.id))
    desk.lead(desk.model.registry())
    assert desk.ask('REACTIVATE_AGENT', agent_id=value(agent.id)) == (200, None)
    agent.reregister()
    assert desk.look('GET_AGENTS')['agents'][0]['active']


def test_drain_of_an_agent_to_be_maintained_is_refused(desk, agent):
    desk.ask('UPDATE_MAINTENANCE_SCHEDULE', schedule={'windows': [{
        'machine_ids': [{'hostname': '127.0.0.1', 'ip': '127.0.0.1'}],
        'unavailability': {'start': {'nanoseconds': 1}}}]})
    assert desk.ask('DRAIN_AGENT', agent_id=value(agent.id)) == (
        400, 'Agent %s is part of a maintenance schedule under Machine 127.0.0.1 (127.0.0.1)' % agent.id)


def test_drain_can_end_in_being_gone(desk, agent):
    framework = desk.framework()
    assert desk.ask('DRAIN_AGENT', agent_id=value(agent.id), mark_gone=True) == (200, None)
    assert agent.id in desk.model.gone_agents
    assert framework.failures() == [{'agent_id': value(agent.id)}]
    assert desk.ask('DRAIN_AGENT', agent_id=value(agent.id)) == (400, 'Unknown agent')


def test_agent_is_marked_gone_once_and_stays_so(desk, agent):
    for _ in range(2):
        assert desk.ask('MARK_AGENT_GONE', agent_id=value(agent.id)) == (200, None)
    assert [known['agent_info']['port'] for known in desk.look('GET_AGENTS')['agents']] == [5052]


# The rest.

def test_teardown_removes_a_framework(desk):
    framework = desk.framework()
    assert desk.ask('TEARDOWN', framework_id=value(framework.id)) == (200, None)
    assert desk.look('GET_FRAMEWORKS')['frameworks'] == []
    assert desk.ask('TEARDOWN', framework_id=value(framework.id)) == (400, 'No framework found with specified ID')


def test_logging_level_is_taken_and_stays(desk):
    assert desk.ask('SET_LOGGING_LEVEL', level=9, duration={'nanoseconds': 5}) == (200, None)
    assert desk.look('GET_LOGGING_LEVEL') == {'level': 0}


@pytest.mark.parametrize('kind', ['GET_METRICS', 'SET_LOGGING_LEVEL', 'UPDATE_WEIGHTS', 'RESERVE_RESOURCES',
                                  'UNRESERVE_RESOURCES', 'CREATE_VOLUMES', 'DESTROY_VOLUMES', 'GROW_VOLUME',
                                  'SHRINK_VOLUME', 'UPDATE_MAINTENANCE_SCHEDULE', 'START_MAINTENANCE',
                                  'STOP_MAINTENANCE', 'DRAIN_AGENT', 'DEACTIVATE_AGENT', 'REACTIVATE_AGENT',
                                  'UPDATE_QUOTA', 'SET_QUOTA', 'REMOVE_QUOTA', 'TEARDOWN', 'MARK_AGENT_GONE'])
def test_call_without_its_field_is_refused(desk, kind):
    assert desk.ask(kind) == (400, "Failed to validate master::Call: Expecting '%s' to be present" % kind.lower())
