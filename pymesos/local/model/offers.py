"""Offers: made after a run of the allocator, taken back, declined; what a framework says of its wish for them.

PROTOCOL 2.1, 5.2, 8.2. Functions on a :class:`~.master.MasterModel`.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

from .amounts import in_offer_order, to_offer_format
from .effects import Cancel, Timer
from .state import Offer

__all__ = ['agent_url', 'allocate', 'decline', 'discard_all', 'on_timeout', 'remove', 'remove_inverse', 'rescind',
           'rescind_all', 'revive', 'shown', 'suppress']


# ---- making them

def allocate(master, agent_ids=None):
    """Let the allocator share out what is free, and offer it: one OFFERS event for each framework."""
    for framework_id, bundles in master.allocator.allocate(agent_ids):
        framework = master.frameworks[framework_id]
        made = [_make(master, framework, master.agents[agent_id], role, resources)
                for agent_id, role, resources in bundles]
        master.send(framework, 'OFFERS', {'offers': made})
    master.maintenance.offer_inverse()


def _make(master, framework, agent, role, resources):
    offer = Offer(master.new_offer_id(), framework.id, agent.id, role, in_offer_order(resources))
    master.offers[offer.id] = framework.offers[offer.id] = agent.offers[offer.id] = offer
    if master.options.offer_timeout is not None:
        master.effects.append(Timer(('offer', offer.id), master.options.offer_timeout))
    return shown(master, offer, to_offer_format(offer.resources, framework), framework.has('MULTI_ROLE'))


def shown(master, offer, resources, has_role):
    """The Offer message with `resources` in the form of who sees it, its fields in Mesos' order."""
    agent = master.agents[offer.agent_id]
    found = OrderedDict([('id', {'value': offer.id}), ('framework_id', {'value': offer.framework_id}),
                         ('agent_id', {'value': offer.agent_id}), ('hostname', agent.hostname),
                         ('url', agent_url(agent))])
    if agent.info.get('domain'):
        found['domain'] = agent.info['domain']
    found['resources'] = resources
    if agent.info.get('attributes'):
        found['attributes'] = agent.info['attributes']
    executors = agent.executors.get(offer.framework_id)
    if executors:
        found['executor_ids'] = [{'value': executor_id} for executor_id in executors]
    unavailability = master.maintenance.unavailability(agent)
    if unavailability is not None:
        found['unavailability'] = unavailability
    if has_role:
        found['allocation_info'] = {'role': offer.role}
    return found


def agent_url(agent):
    """The URL message for an agent's server, out of its pid."""
    name, _, address = agent.pid.partition('@')
    host, _, port = address.rpartition(':')
    return {'scheme': 'http', 'address': {'hostname': agent.hostname, 'ip': host.strip('[]'), 'port': int(port)},
            'path': '/' + name}


# ---- taking them back

def remove(master, offer, is_rescinded=False):
    """Forget an offer, whose resources are seen to elsewhere; with RESCIND if so asked."""
    del master.offers[offer.id]
    framework = master.frameworks[offer.framework_id]
    del framework.offers[offer.id]
    del master.agents[offer.agent_id].offers[offer.id]
    if master.options.offer_timeout is not None:
        master.effects.append(Cancel(('offer', offer.id)))
    if is_rescinded:
        master.send(framework, 'RESCIND', {'offer_id': {'value': offer.id}})


def rescind(master, offer):
    """Take an offer back, and tell its framework."""
    master.allocator.recover(offer.framework_id, offer.agent_id, offer.resources)
    remove(master, offer, is_rescinded=True)


def rescind_all(master, agent):
    """Take back all offers of an agent, the inverse ones too."""
    for offer in list(agent.offers.values()):
        rescind(master, offer)
    for inverse in list(agent.inverse_offers.values()):
        remove_inverse(master, inverse, is_rescinded=True)


def discard_all(master, framework, is_rescinded=False):
    """Take back all offers of a framework, the inverse ones too; it hears of it only if so asked."""
    for offer in list(framework.offers.values()):
        master.allocator.recover(offer.framework_id, offer.agent_id, offer.resources)
        remove(master, offer, is_rescinded)
    for inverse in list(framework.inverse_offers.values()):
        remove_inverse(master, inverse, is_rescinded)


def remove_inverse(master, inverse, is_rescinded=False):
    """Forget an inverse offer; with RESCIND_INVERSE_OFFER if so asked."""
    del master.inverse_offers[inverse.id]
    framework = master.frameworks[inverse.framework_id]
    del framework.inverse_offers[inverse.id]
    del master.agents[inverse.agent_id].inverse_offers[inverse.id]
    if is_rescinded:
        master.send(framework, 'RESCIND_INVERSE_OFFER', {'inverse_offer_id': {'value': inverse.id}})


def on_timeout(master, offer_id):
    """An offer has been out for `offer_timeout`."""
    offer = master.offers.get(offer_id)
    if offer is not None:
        rescind(master, offer)


# ---- calls of frameworks

def decline(master, framework, body):
    """DECLINE: offers that are gone are skipped."""
    filters = body.get('filters', {})
    for item in body.get('offer_ids', ()):
        offer = master.offers.get(item['value'])
        if offer is not None:
            master.allocator.recover(offer.framework_id, offer.agent_id, offer.resources, filters)
            remove(master, offer)


def revive(master, framework, body):
    """REVIVE: forget filters and suppression; dropped as a whole if one role is not the framework's."""
    roles = _roles(framework, body)
    if roles is not None:
        master.allocator.revive(framework.id, roles)
        master.allocate_soon()


def suppress(master, framework, body):
    """SUPPRESS: no more offers; dropped as a whole if one role is not the framework's."""
    roles = _roles(framework, body)
    if roles is not None:
        master.allocator.suppress(framework.id, roles)


def _roles(framework, body):
    roles = (body or {}).get('roles', ())
    return roles if set(roles) <= set(framework.roles) else None
