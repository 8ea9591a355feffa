"""Maintenance: the schedule, machines that drain or are down, and inverse offers (PROTOCOL 2.1, 4.1, 5.2)."""
from __future__ import absolute_import, division, print_function

import json
import re
from collections import OrderedDict

from .effects import Reply, refuse
from .offers import agent_url
from .state import InverseOffer

__all__ = ['Maintenance', 'machine_of']

UP, DRAINING, DOWN = 'UP', 'DRAINING', 'DOWN'

_IPV4 = re.compile(r'(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}\Z')


def machine_of(info, pid):
    """The MachineID of the agent with an AgentInfo and a pid."""
    return {'hostname': info['hostname'], 'ip': pid.rpartition('@')[2].rpartition(':')[0].strip('[]')}


def _key(machine):
    return machine.get('hostname', '').lower(), machine.get('ip', '')


def _name(machine):
    """A MachineID as Mesos writes it into texts."""
    return json.dumps(OrderedDict((name, machine[name]) for name in ('hostname', 'ip') if name in machine),
                      separators=(',', ':'))


class _Machine(object):
    """A machine that has been scheduled for maintenance at some time."""

    def __init__(self, machine_id, mode=UP, unavailability=None):
        self.id = machine_id
        self.mode = mode
        #: Unavailability, None while it is up.
        self.unavailability = unavailability


class Maintenance(object):
    """What is to be maintained when. `saved` is what :meth:`registry` of the last master gave, or None."""

    def __init__(self, master, saved=None):
        self._master = master
        saved = saved or {}
        #: [Window], as they were given.
        self.windows = list(saved.get('windows', ()))
        self._machines = OrderedDict()
        for machine_id, mode, unavailability in saved.get('machines', ()):
            self._machines[_key(machine_id)] = _Machine(machine_id, mode, unavailability)
        #: agent id -> {framework id: InverseOfferStatus}
        self._statuses = {}

    def registry(self):
        """What outlives the master."""
        return {'windows': list(self.windows),
                'machines': [(machine.id, machine.mode, machine.unavailability)
                             for machine in self._machines.values()]}

    # ---- for the master

    def unavailability(self, agent):
        """The Unavailability of an agent's machine, or None."""
        machine = self._machines.get(_key(machine_of(agent.info, agent.pid)))
        return None if machine is None else machine.unavailability

    def is_down(self, info, pid):
        """Whether the machine of an agent is down, so that the agent must not run."""
        machine = self._machines.get(_key(machine_of(info, pid)))
        return machine is not None and machine.mode == DOWN

    def is_scheduled(self, info, pid):
        """Whether the machine of an agent is in the schedule."""
        machine = self._machines.get(_key(machine_of(info, pid)))
        return machine is not None and machine.mode != UP

    def offer_inverse(self):
        """Ask the frameworks that hold something of agents that will be unavailable to leave them."""
        if not self.windows:
            return
        asked = OrderedDict()
        for agent in self._master.agents.values():
            unavailability = self.unavailability(agent)
            if unavailability is not None and agent.is_active:
                outstanding = set(inverse.framework_id for inverse in agent.inverse_offers.values())
                for framework_id in self._master.allocator.holders(agent.id):
                    if (framework_id not in outstanding
                            and self._master.allocator.may_ask_to_leave(framework_id, agent.id)):
                        asked.setdefault(framework_id, []).append((agent, unavailability))
        for framework_id, agents in asked.items():
            framework = self._master.frameworks[framework_id]
            self._master.send(framework, 'INVERSE_OFFERS', {
                'inverse_offers': [self._make(framework, agent, unavailability) for agent, unavailability in agents]})

    def _make(self, framework, agent, unavailability):
        master = self._master
        inverse = InverseOffer(master.new_offer_id(), framework.id, agent.id, unavailability)
        master.inverse_offers[inverse.id] = framework.inverse_offers[inverse.id] = inverse
        agent.inverse_offers[inverse.id] = inverse
        return self.shown(inverse)

    def shown(self, inverse):
        """The InverseOffer message."""
        return {'id': {'value': inverse.id}, 'url': agent_url(self._master.agents[inverse.agent_id]),
                'framework_id': {'value': inverse.framework_id}, 'agent_id': {'value': inverse.agent_id},
                'unavailability': inverse.unavailability}

    def forget(self, agent_id):
        """An agent is not registered any more: what frameworks have answered is not shown again."""
        self._statuses.pop(agent_id, None)

    def accept(self, framework, body):
        """ACCEPT_INVERSE_OFFERS; those that are gone are skipped."""
        self._answered(framework, body, 'ACCEPT')

    def decline(self, framework, body):
        """DECLINE_INVERSE_OFFERS; those that are gone are skipped."""
        self._answered(framework, body, 'DECLINE')

    def _answered(self, framework, body, answer):
        for item in body.get('inverse_offer_ids', ()):
            inverse = framework.inverse_offers.get(item['value'])
            if inverse is not None:
                statuses = self._statuses.setdefault(inverse.agent_id, OrderedDict())
                for framework_id in [known for known in statuses if self._is_forgotten(known)]:
                    del statuses[framework_id]
                statuses[framework.id] = {
                    'status': answer, 'framework_id': {'value': framework.id},
                    'timestamp': {'nanoseconds': self._master.world.nanoseconds()}}
                self._master.allocator.refuse_inverse(framework.id, inverse.agent_id, body.get('filters'))
                self._master.remove_inverse(inverse)

    def _is_forgotten(self, framework_id):
        return framework_id not in self._master.frameworks and framework_id not in self._master.completed_frameworks

    # ---- for operators

    def schedule(self):
        """The Schedule."""
        return {'windows': list(self.windows)} if self.windows else {}

    def status(self):
        """The ClusterStatus: machines that drain, with what frameworks have answered, and those that are down."""
        draining = [self._draining(machine) for machine in self._machines.values() if machine.mode == DRAINING]
        down = [machine.id for machine in self._machines.values() if machine.mode == DOWN]
        found = OrderedDict()
        if draining:
            found['draining_machines'] = draining
        if down:
            found['down_machines'] = down
        return found

    def _draining(self, machine):
        statuses = [status for agent in self._agents(machine)
                    for status in self._statuses.get(agent.id, {}).values()]
        found = OrderedDict(id=machine.id)
        if statuses:
            found['statuses'] = statuses
        return found

    def update(self, schedule):
        """UPDATE_MAINTENANCE_SCHEDULE: the Reply. What is not in the new schedule is not maintained any more.

        As in Mesos all that is offered is offered anew, whether the schedule has to do with it or not.
        """
        windows = schedule.get('windows', [])
        error = self._schedule_error(windows)
        if error is not None:
            return refuse(400, error)
        wanted = OrderedDict((_key(machine), (machine, window['unavailability']))
                             for window in windows for machine in window['machine_ids'])
        self.windows = list(windows)
        for key, machine in self._machines.items():
            if key in wanted:
                machine.mode = DRAINING if machine.mode == UP else machine.mode
            else:
                machine.mode = UP
            self._set_unavailability(machine, wanted.get(key, (None, None))[1])
        for key, (machine_id, unavailability) in wanted.items():
            if key not in self._machines:
                self._machines[key] = _Machine(machine_id, DRAINING)
                self._set_unavailability(self._machines[key], unavailability)
        self._offer_anew([agent for agent in self._master.agents.values()
                          if _key(machine_of(agent.info, agent.pid)) not in self._machines])
        return Reply(200)

    def start(self, machines):
        """START_MAINTENANCE: the Reply. The agents of the machines are shut down."""
        error = self._machines_error(machines, DRAINING, 'brought down')
        if error is not None:
            return refuse(400, error)
        for machine_id in machines:
            machine = self._machines[_key(machine_id)]
            machine.mode = DOWN
            for agent in self._agents(machine):
                self._master.shut_down_agent(agent, "Operator initiated 'Machine DOWN'")
        return Reply(200)

    def stop(self, machines):
        """STOP_MAINTENANCE: the Reply. The machines leave the schedule."""
        error = self._machines_error(machines, DOWN, 'brought up')
        if error is not None:
            return refuse(400, error)
        keys = set(_key(machine_id) for machine_id in machines)
        for key in keys:
            self._machines[key].mode = UP
            self._set_unavailability(self._machines[key], None)
        kept = [dict(window, machine_ids=[machine_id for machine_id in window['machine_ids']
                                          if _key(machine_id) not in keys]) for window in self.windows]
        self.windows = [window for window in kept if window['machine_ids']]
        return Reply(200)

    def _agents(self, machine):
        return [agent for agent in list(self._master.agents.values())
                if _key(machine_of(agent.info, agent.pid)) == _key(machine.id)]

    def _set_unavailability(self, machine, unavailability):
        """Frameworks are to learn of it: what was offered of the machine's agents is offered anew."""
        machine.unavailability = unavailability
        self._offer_anew(self._agents(machine))

    def _offer_anew(self, agents):
        for agent in agents:
            for offer in list(agent.offers.values()):
                self._master.rescind(offer)
            for inverse in list(agent.inverse_offers.values()):
                self._master.rescind_inverse(inverse)
            self._statuses.pop(agent.id, None)
            self._master.allocator.forget_inverse(agent.id)
        if agents:
            self._master.allocate_soon([agent.id for agent in agents])

    # ---- what may be asked for

    def _schedule_error(self, windows):
        scheduled = set()
        for window in windows:
            if not window.get('machine_ids'):
                return 'List of machines in the maintenance window is empty'
            if window['unavailability'].get('duration', {}).get('nanoseconds', 0) < 0:
                return "Unavailability 'duration' is negative"
            error = _ids_error(window['machine_ids'], scheduled)
            if error is not None:
                return error
        for key, machine in self._machines.items():
            if machine.mode == DOWN and key not in scheduled:
                return "Machine '%s' is deactivated and cannot be removed from the schedule" % _name(machine.id)
        return None

    def _machines_error(self, machines, mode, what):
        if not machines:
            return 'List of machines is empty'
        error = _ids_error(machines, set())
        if error is not None:
            return error
        for machine_id in machines:
            machine = self._machines.get(_key(machine_id))
            if machine is None and not self._agents(_Machine(machine_id)):
                return "Machine '%s' is not part of a maintenance schedule" % _name(machine_id)
            if machine is None or machine.mode != mode:
                return "Machine '%s' is not in %s mode and cannot be %s" % (_name(machine_id), mode, what)
        return None


def _ids_error(machines, seen):
    """What is wrong with MachineIDs, of which none may be in `seen` (keys), or None; `seen` has them afterwards."""
    for machine_id in machines:
        if not machine_id.get('hostname') and not machine_id.get('ip'):
            return "Both 'hostname' and 'ip' for a machine are empty"
        if machine_id.get('ip') and not _IPV4.match(machine_id['ip']):
            return 'Failed to parse IPv4: ' + machine_id['ip']
        if _key(machine_id) in seen:
            return "Machine '%s' appears more than once in the schedule" % _name(machine_id)
        seen.add(_key(machine_id))
    return None
