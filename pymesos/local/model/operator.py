"""The operator API of the master: what each call does (PROTOCOL 4.1)."""
from __future__ import absolute_import, division, print_function

from ...resources import Resources
from . import legacy, metrics, offers, texts, validation, views
from .amounts import adopted, conversions, unallocate
from .effects import Reply, refuse
from .maintenance import machine_of
from .roles import Roles
from .version import BUILD

__all__ = ['Operator']

#: The Filters with which an offer that is rescinded for an operator goes back: so long it is not offered again.
_RESCINDED = {'refuse_seconds': 5.0}

#: call -> (type of the Offer.Operation, its fields besides agent_id, whether texts name the agent)
_OPERATIONS = {
    'RESERVE_RESOURCES': ('RESERVE', ('resources', 'source'), True),
    'UNRESERVE_RESOURCES': ('UNRESERVE', ('resources',), False),
    'CREATE_VOLUMES': ('CREATE', ('volumes',), True),
    'DESTROY_VOLUMES': ('DESTROY', ('volumes',), False),
    'GROW_VOLUME': ('GROW_VOLUME', ('volume', 'addition'), True),
    'SHRINK_VOLUME': ('SHRINK_VOLUME', ('volume', 'subtract'), True),
}


class Operator(object):
    """Answers what operators ask of `master`, a :class:`~.master.MasterModel`."""

    def __init__(self, master):
        self._master = master
        self.roles = Roles(master)
        self._looks = {
            'GET_HEALTH': lambda: {'healthy': True},
            'GET_FLAGS': self._flags,
            'GET_VERSION': lambda: {'version_info': dict(BUILD)},
            'GET_METRICS': self._metrics,
            'GET_LOGGING_LEVEL': lambda: {'level': 0},
            'GET_STATE': lambda: views.state(master),
            'GET_AGENTS': lambda: views.agents(master),
            'GET_FRAMEWORKS': lambda: views.frameworks(master),
            'GET_EXECUTORS': lambda: views.executors(master),
            'GET_OPERATIONS': lambda: views.operations(master),
            'GET_TASKS': lambda: views.tasks(master),
            'GET_ROLES': self._get_roles,
            'GET_WEIGHTS': self._get_weights,
            'GET_MASTER': lambda: {'master_info': master.master_info(), 'start_time': master.start_time,
                                   'elected_time': master.elected_time},
            'GET_MAINTENANCE_STATUS': lambda: {'status': master.maintenance.status()},
            'GET_MAINTENANCE_SCHEDULE': lambda: {'schedule': master.maintenance.schedule()},
            'GET_QUOTA': lambda: {'status': self.roles.quota_status()},
        }
        self._orders = {
            'SET_LOGGING_LEVEL': lambda body: Reply(200),
            'UPDATE_WEIGHTS': lambda body: self.roles.update_weights(body.get('weight_infos', ())),
            'UPDATE_MAINTENANCE_SCHEDULE': lambda body: master.maintenance.update(body['schedule']),
            'START_MAINTENANCE': lambda body: master.maintenance.start(body.get('machines', ())),
            'STOP_MAINTENANCE': lambda body: master.maintenance.stop(body.get('machines', ())),
            'DRAIN_AGENT': self._drain,
            'DEACTIVATE_AGENT': self._deactivate,
            'REACTIVATE_AGENT': self._reactivate,
            'UPDATE_QUOTA': self.roles.update_quota,
            'SET_QUOTA': lambda body: self.roles.set_quota(body['quota_request']),
            'REMOVE_QUOTA': self._remove_quota,
            'TEARDOWN': lambda body: self.teardown(body['framework_id']['value']),
            'MARK_AGENT_GONE': self._mark_gone,
        }

    def call(self, call, principal=None):
        """The Reply to a valid master.Call (but for LIST_FILES and READ_FILE, which the server answers)."""
        kind = call['type']
        if kind in self._looks:
            body = self._looks[kind]()
            return Reply(200, {'type': kind} if body is None else {'type': kind, kind.lower(): body})
        if kind in _OPERATIONS:
            return self.operation(kind, call[kind.lower()], principal)
        if kind in self._orders:
            return self._orders[kind](call[kind.lower()])
        if kind == 'SUBSCRIBE':
            return self._master.publisher.subscribe()
        return refuse(501, '501 Not Implemented.')

    def legacy(self, path, query, principal=None, method='GET', form=None):
        """The Reply to a request to an older endpoint, or None if there is none; see :func:`.legacy.answer`."""
        return legacy.answer(self._master, self, path, query, principal, method, form)

    # ---- looking

    def _flags(self):
        flags = legacy.flags(self._master)
        return {'flags': [{'name': name, 'value': flags[name]} for name in sorted(flags)]}

    def _metrics(self):
        found = metrics.snapshot(self._master)
        return {'metrics': [{'name': name, 'value': found[name]} for name in sorted(found)]}

    def _get_roles(self):
        roles = [role.message() for role in self.roles.all()]
        return {'roles': roles} if roles else {}

    def _get_weights(self):
        infos = self.roles.weights()
        # Mesos leaves the field out where there is nothing to show.
        return {'weight_infos': infos} if infos else None

    # ---- operations on an agent's resources

    def operation(self, kind, body, principal=None):
        """RESERVE_RESOURCES and the like: 202, 400, or 409 if there is not enough even without the agent's offers."""
        agent = self._master.agents.get(body['agent_id']['value'])
        if agent is None:
            return refuse(400, 'No agent found with specified ID')
        what, fields, names_agent = _OPERATIONS[kind]
        operation = {'type': what, what.lower(): dict((name, body[name]) for name in fields if name in body)}
        start = 'Invalid %s operation%s: ' % (
            what, ' on agent %s at %s (%s)' % (agent.id, agent.pid, agent.hostname) if names_agent else '')
        error = self._operation_form(operation)
        if error is not None:
            return refuse(400, error)
        operation = adopted(operation, None, None)
        error = validation.operator_operation(operation, agent, principal)
        if error is not None:
            return refuse(400, start + error)
        self._make_room(agent, operation)
        shortage = _shortage(self._master.allocator.available(agent.id), conversions(operation))
        if shortage is not None:
            return refuse(409, shortage)
        self._master.apply_operation(agent, operation)
        return Reply(202)

    @staticmethod
    def _operation_form(operation):
        """What is wrong with the form of the resources, or None."""
        body = operation[operation['type'].lower()]
        for name in ('resources', 'source', 'volumes'):
            error = validation.resource_forms(body.get(name, ()))
            if error is not None:
                return error
        for name in ('volume', 'addition'):
            error = validation.resource_form(body[name]) if name in body else None
            if error is not None:
                return error
        return None

    def _make_room(self, agent, operation):
        """Rescind offers of an agent, one by one, that have something of what an operation needs.

        What is free is not counted on: in Mesos the allocator might just be handing it out.
        """
        steps = conversions(operation)
        needed, rescinded = sum((step.consumed for step in steps), Resources()), Resources()
        for offer in list(agent.offers.values()):
            offered = unallocate(offer.resources)
            left = needed._without(offered)[0]
            if left == needed:
                continue
            needed, rescinded = left, rescinded + offered
            self._master.allocator.recover(offer.framework_id, agent.id, offer.resources, _RESCINDED)
            offers.remove(self._master, offer, is_rescinded=True)
            if _shortage(rescinded, steps) is None:
                break

    # ---- agents

    def _drain(self, body):
        agent_id, master = body['agent_id']['value'], self._master
        where = self._machine(agent_id)
        if where is None:
            return refuse(400, 'Unknown agent')
        if where and master.maintenance.is_scheduled(*where):
            machine = machine_of(*where)
            return refuse(400, 'Agent %s is part of a maintenance schedule under Machine %s (%s)'
                          % (agent_id, machine['hostname'], machine['ip']))
        config = {'mark_gone': body.get('mark_gone', False)}
        grace = body.get('max_grace_period')
        if grace is not None:
            config = {'max_grace_period': {'nanoseconds': grace.get('seconds', 0) * 10 ** 9 + grace.get('nanos', 0)},
                      'mark_gone': config['mark_gone']}
        if agent_id in master.agents:
            master.drain_agent(master.agents[agent_id], config)
        else:
            # It is told when it comes back.
            master.drains[agent_id] = {'state': 'DRAINING', 'config': config}, int(master.world.time()) * 10 ** 9
            master.deactivated.add(agent_id)
        return Reply(200)

    def _machine(self, agent_id):
        """(AgentInfo, pid) of a registered agent, () of one that is not there at present, None if it is not known."""
        if agent_id in self._master.agents:
            agent = self._master.agents[agent_id]
            return agent.info, agent.pid
        is_known = agent_id in self._master.recovered_agents or agent_id in self._master.unreachable_agents
        return () if is_known else None

    def _deactivate(self, body):
        agent_id = body['agent_id']['value']
        if self._machine(agent_id) is None:
            return refuse(400, 'Unknown agent')
        if agent_id in self._master.agents:
            self._master.deactivate_agent(self._master.agents[agent_id])
        else:
            self._master.deactivated.add(agent_id)
        return Reply(200)

    def _reactivate(self, body):
        agent_id, master = body['agent_id']['value'], self._master
        drain = master.drains.get(agent_id)
        if drain is not None and drain[0]['state'] == 'DRAINING':
            return refuse(400, 'Agent is still in the DRAINING state')
        if agent_id not in master.deactivated:
            return refuse(400, 'Agent is not deactivated')
        if agent_id in master.agents:
            master.reactivate_agent(master.agents[agent_id])
            master.allocate_soon([agent_id])
        else:
            master.deactivated.discard(agent_id)
            master.drains.pop(agent_id, None)
        return Reply(200)

    def _mark_gone(self, body):
        agent_id = body['agent_id']['value']
        if agent_id in self._master.gone_agents:
            return Reply(200)
        if self._machine(agent_id) is None:
            return refuse(404, "Agent '%s' not found" % agent_id)
        self._master.mark_gone(agent_id)
        return Reply(200)

    # ---- the rest

    def teardown(self, framework_id):
        """TEARDOWN: the Reply."""
        framework = self._master.frameworks.get(framework_id)
        if framework is None:
            return refuse(400, 'No framework found with specified ID')
        self._master.remove_framework(framework)
        return Reply(200)

    def _remove_quota(self, body):
        # Mesos 1.11 crashes where there is none.
        error = self.roles.remove_quota(body['role'])
        return Reply(200) if error is None else refuse(400, 'Failed to remove quota: ' + error)


def _shortage(available, steps):
    """What the Resources `available` lack for the steps of an operation (text), or None."""
    for step in steps:
        if not available.contains(step.consumed):
            return '%s does not contain %s' % (texts.resources(available), texts.resources(step.consumed))
        available = available - step.consumed + step.produced
    return None
