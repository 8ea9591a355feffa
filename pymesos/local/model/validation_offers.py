"""Whether the offers that a call names are out, and its own (PROTOCOL 2.6, 5.4)."""
from __future__ import absolute_import, division, print_function

__all__ = ['inverse_offers', 'offers']


def offers(offer_ids, framework, offers):
    """The offers that an ACCEPT names: `offer_ids` is [{'value': id}], `offers` {id: state.Offer} of all that are out.

    The text follows 'Task launched with invalid offers: ' in the updates with REASON_INVALID_OFFERS, and 'Operation
    attempted with invalid offers: ' in OPERATION_ERROR.
    """
    names = [item['value'] for item in offer_ids]
    error = _out(names, offers, 'Offer') if names else 'No offers specified'
    if error is not None:
        return error
    found = [offers[name] for name in names]
    return _own(found, framework) or _one_role(found) or _one_agent(found)


def inverse_offers(offer_ids, framework, offers):
    """The same of inverse offers."""
    names = [item['value'] for item in offer_ids]
    error = _out(names, offers, 'Inverse offer')
    if error is not None:
        return error
    found = [offers[name] for name in names]
    return _own(found, framework) or _one_agent(found)


def _out(names, offers, label):
    seen = set()
    for name in names:
        if name in seen:
            return 'Duplicate offer %s in offer list' % name
        seen.add(name)
    for name in names:
        if name not in offers:
            return '%s %s is no longer valid' % (label, name)
    return None


def _own(found, framework):
    for offer in found:
        if offer.framework_id != framework.id:
            return ('Offer %s has invalid framework %s while framework %s is expected'
                    % (offer.id, offer.framework_id, framework.id))
    return None


def _one_role(found):
    for offer in found[1:]:
        if offer.role != found[0].role:
            # Mesos forgets the closing quotes.
            return ("Aggregated offers must be allocated to the same role. Offer %s uses role '%s but another is "
                    "using role '%s" % (offer.id, offer.role, found[0].role))
    return None


def _one_agent(found):
    for offer in found[1:]:
        if offer.agent_id != found[0].agent_id:
            return ('Aggregated offers must belong to one single agent. Offer %s uses agent %s and agent %s'
                    % (offer.id, offer.agent_id, found[0].agent_id))
    return None
