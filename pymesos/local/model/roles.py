"""Roles as operators see them, and their weights and quotas: shown, checked and set (PROTOCOL 4.1)."""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict

import six

from . import texts
from .effects import Reply, refuse
from .pool import thousandths
from .quota import lineage
from .sorter import added
from .validation_common import resource_forms, role as role_error

__all__ = ['Roles']

DEFAULT_WEIGHT = 1.0

#: The largest amount that a quota may name.
MAX_AMOUNT = 10 ** 12


class Roles(object):
    """What is known of the roles of `master`, a :class:`~.master.MasterModel`."""

    def __init__(self, master):
        self._master = master
        for role, config in master.quotas.items():
            self._tell_allocator(role, config)

    # ---- looking

    def all(self):
        """[_Role], by name: those with frameworks, weights, quotas, reservations or resources, and those above them."""
        master, tree = self._master, _Tree()
        for role in list(master.weights) + list(master.quotas):
            tree.grow(role)
        for framework in master.frameworks.values():
            for role in framework.roles:
                tree.grow(role)
                tree.roles[role].frameworks.append(framework.id)
        for agent in master.agents.values():
            tree.count(agent)
        for role, one in tree.roles.items():
            one.weight = master.weights.get(role, DEFAULT_WEIGHT)
            one.quota = master.quotas.get(role, {})
        return [tree.roles[role] for role in sorted(tree.roles)]

    # ---- weights

    def weights(self):
        """[WeightInfo], by role."""
        return [{'role': role, 'weight': self._master.weights[role]} for role in sorted(self._master.weights)]

    def update_weights(self, infos):
        """UPDATE_WEIGHTS: the Reply. If frameworks have one of the roles, all offers are rescinded."""
        start, wanted = 'Failed to validate update weights request JSON', OrderedDict()
        for info in infos:
            role = info.get('role', '').strip()
            error = role_error(role)
            if error is not None:
                return refuse(400, "%s: Invalid role '%s': %s" % (start, role, error))
            if self._is_unknown(role):
                return refuse(400, "%s: Unknown role '%s'" % (start, role))
            weight = float(info['weight'])      # which may be the text 'Infinity'
            if not 0 < weight < float('inf'):
                return refuse(400, "%s for role '%s': Invalid weight '%s': Weights must be positive"
                              % (start, role, '%.15g' % weight))
            wanted[role] = weight
        for role, weight in wanted.items():
            self._master.weights[role] = weight
            self._master.allocator.set_weight(role, weight)
        if any(role in wanted for framework in self._master.frameworks.values() for role in framework.roles):
            for offer in list(self._master.offers.values()):
                self._master.rescind(offer)
        return Reply(200)

    def _is_unknown(self, role):
        allowed = self._master.options.roles
        return allowed is not None and role != '*' and role not in allowed

    # ---- quotas

    def quota_status(self):
        """QuotaStatus."""
        infos, configs = [], []
        for role in sorted(self._master.quotas):
            config, info = self._master.quotas[role], OrderedDict(role=role)
            if config.get('guarantees'):
                info['guarantee'] = [{'name': name, 'type': 'SCALAR', 'scalar': {'value': value}}
                                     for name, value in sorted(config['guarantees'].items())]
            infos.append(info)
            shown = OrderedDict(role=role)
            for kind in ('guarantees', 'limits'):
                if config.get(kind):
                    shown[kind] = dict((name, {'value': value}) for name, value in config[kind].items())
            configs.append(shown)
        return OrderedDict([('infos', infos), ('configs', configs)]) if infos else {}

    def set_quota(self, request):
        """SET_QUOTA: the Reply."""
        role, start = request.get('role', ''), 'Failed to validate set quota request: '
        error = self._request_error(role, request.get('guarantee', ()))
        if error is not None:
            return refuse(400, start + error)
        wanted = dict((item['name'], item['scalar']['value']) for item in request['guarantee'])
        error = self._tree_error(role, wanted)
        if error is not None:
            return refuse(400, start + error)
        if '/' in role:
            return refuse(400, "Setting quota on nested role '%s' is not supported yet" % role)
        total = self._total_guarantees({role: wanted})
        if not request.get('force') and not _covers(self._capacity(), total):
            return refuse(409, "Quota guarantees overcommit the cluster (use 'force' to bypass this check): Total "
                               "quota guarantees '%s' exceed cluster capacity '%s'"
                          % (_written(total), _written(self._capacity())))
        self._store(role, {'guarantees': dict(wanted), 'limits': dict(wanted)})
        self._rescind_for(role, wanted)
        return Reply(200)

    def remove_quota(self, role):
        """What stops REMOVE_QUOTA (text), or None if it is done."""
        if not self._has_quota(role):
            return "Role '%s' has no quota set" % role
        del self._master.quotas[role]
        self._master.allocator.set_quota(role, {}, {})
        return None

    def update_quota(self, body):
        """UPDATE_QUOTA: the Reply. Some offers may be rescinded, so that guarantees can be met and limits kept."""
        wanted = OrderedDict()
        for config in body.get('quota_configs', ()):
            role = config['role']
            if '/' in role:
                return refuse(400, "Updating quota on nested role '%s' is not supported yet" % role)
            error = self._config_error(config)
            if error is not None:
                return refuse(400, 'Invalid QuotaConfig: ' + error)
            wanted[role] = dict((kind, _numbers(config.get(kind, {}))) for kind in ('guarantees', 'limits'))
        error = None if body.get('force') else self._overcommitted(wanted)
        if error is not None:
            return refuse(400, "Invalid QuotaConfig: %s (use 'force' flag to bypass this check)" % error)
        for role, config in wanted.items():
            self._store(role, config)
        for role, config in wanted.items():
            self._rescind_above(role, config['limits'])
            if config['guarantees']:
                self._rescind_for(role, config['guarantees'])
        return Reply(200)

    def _overcommitted(self, wanted):
        total = self._total_guarantees(dict((role, config['guarantees']) for role, config in wanted.items()))
        if not _covers(self._capacity(), total):
            return ("total quota guarantees '%s' exceed cluster capacity '%s'"
                    % (_written(total), _written(self._capacity())))
        consumed = dict((one.name, one.consumed) for one in self.all())
        for role, config in wanted.items():
            uses = consumed.get(role, {})
            if any(uses.get(name, 0) > round(limit * 1000) for name, limit in config['limits'].items()):
                return ("Role '%s' is already consuming '%s'; this is more than the requested limits '%s'"
                        % (role, _written(_plain(uses)), _written(config['limits'])))
        return None

    def _has_quota(self, role):
        config = self._master.quotas.get(role, {})
        return bool(config.get('guarantees') or config.get('limits'))

    def _store(self, role, config):
        self._master.quotas[role] = config
        self._tell_allocator(role, config)

    def _tell_allocator(self, role, config):
        self._master.allocator.set_quota(role, config.get('guarantees', {}), config.get('limits', {}))

    def _request_error(self, role, guarantee):
        error = role_error(role)
        if error is not None:
            return 'QuotaInfo with invalid role: ' + error
        if not guarantee:
            return "QuotaInfo with empty 'guarantee'"
        error = resource_forms(guarantee)
        if error is not None:
            return 'QuotaInfo with invalid resource: ' + error
        names = set()
        for item in guarantee:
            if item.get('reservations') or item.get('reservation') is not None or item.get('role', '*') != '*':
                return 'QuotaInfo must not contain any ReservationInfo'
            if 'disk' in item:
                return 'QuotaInfo must not contain DiskInfo'
            if 'revocable' in item:
                return 'QuotaInfo must not contain RevocableInfo'
            if item['type'] != 'SCALAR':
                return 'QuotaInfo must not include non-scalar resources'
            if item['name'] in names:
                return "QuotaInfo contains duplicate resource name '%s'" % item['name']
            names.add(item['name'])
        if self._is_unknown(role):
            return "Unknown role '%s'" % role
        if self._has_quota(role):
            return "Cannot set quota for role '%s' which already has quota" % role
        return None

    def _tree_error(self, role, wanted):
        if '/' not in role:
            return None
        parent = role.rpartition('/')[0]
        guarantees = self._master.quotas.get(parent, {}).get('guarantees', {})
        if _covers(guarantees, wanted):
            return None
        return ("Invalid quota configuration. Parent role '%s' with guarantees (%s) does not contain the sum of its "
                "children's guarantees (%s)" % (parent, _written(guarantees), _written(wanted)))

    def _config_error(self, config):
        error = role_error(config['role'])
        if error is not None:
            return "Invalid 'QuotaConfig.role': " + error
        for kind, name in (('guarantees', 'guarantee'), ('limits', 'limit')):
            error = _amounts_error(config.get(kind, {}), kind, name)
            if error is not None:
                return error
        guarantees, limits = _numbers(config.get('guarantees', {})), _numbers(config.get('limits', {}))
        if any(amount > limits.get(name, amount) for name, amount in guarantees.items()):
            return ("'QuotaConfig.guarantees' %s is not contained within the 'QuotaConfig.limits' %s"
                    % (_map(guarantees), _map(limits)))
        if self._is_unknown(config['role']):
            return "Unknown role '%s'" % config['role']
        return None

    def _total_guarantees(self, wanted):
        guarantees = dict((role, config.get('guarantees', {})) for role, config in self._master.quotas.items())
        guarantees.update(wanted)
        total = {}
        for amounts in guarantees.values():
            added(total, amounts)
        return total

    def _capacity(self):
        """{name: number} of the scalars of all connected agents, static reservations included."""
        capacity = {}
        for agent in self._master.agents.values():
            if agent.is_connected:
                for item in agent.total.to_list():
                    if item['type'] == 'SCALAR' and 'revocable' not in item:
                        added(capacity, {item['name']: item['scalar']['value']})
        return capacity

    # ---- making room

    def _rescind_for(self, role, guarantees):
        """Make room for what is guaranteed to a role and it neither holds nor is offered.

        Offers are rescinded agent by agent until there is enough, and some for each framework of the role.
        """
        guarantees = self._missing(role, guarantees)
        if not guarantees:
            return
        count = sum(role in framework.roles and framework.is_active for framework in self._master.frameworks.values())
        rescinded, visited = {}, 0
        for agent in self._master.agents.values():
            if visited >= count and _covers(rescinded, guarantees):
                break
            if agent.is_active and agent.offers:
                visited += 1
                for offer in list(agent.offers.values()):
                    for item in offer.resources.to_list():
                        added(rescinded, {item['name']: _amount(item) / 1000})
                    self._master.rescind(offer)

    def _missing(self, role, guarantees):
        has = {}
        for one in self.all():
            if one.name == role:
                added(has, one.consumed)
                added(has, one.offered)
        return dict((name, amount - has.get(name, 0) / 1000) for name, amount in guarantees.items()
                    if amount > has.get(name, 0) / 1000)

    def _rescind_above(self, role, limits):
        """Rescind offers for a role and those below it that its limits do not allow any more."""
        offers = [offer for offer in self._master.offers.values() if role in lineage(offer.role)]
        consumed = dict((one.name, one.consumed) for one in self.all()).get(role, {}) if offers else {}
        for offer in offers:
            taken = dict(consumed)
            for item in offer.resources.to_list():
                if _is_free(item):
                    added(taken, {item['name']: _amount(item)})
            if any(taken.get(name, 0) > round(limit * 1000) for name, limit in limits.items()):
                self._master.rescind(offer)
            else:
                consumed = taken


class _Tree(object):
    """The roles, {name: _Role}: what one has, those above it have as well."""

    def __init__(self):
        self.roles = {}

    def grow(self, role):
        """See that a role and those above it are there; a list of them."""
        return [self.roles.setdefault(name, _Role(name)) for name in lineage(role)]

    def count(self, agent):
        """Add what there is on an agent."""
        for item in agent.total.to_list():
            if item.get('reservations'):
                self._note(item['reservations'][-1]['role'], item, 'reserved', 'consumed')
        for resources in agent.used().values():
            for item in resources.to_list():
                kinds = ('allocated', 'consumed') if _is_free(item) else ('allocated',)
                self._note(item.get('allocation_info', {}).get('role', '*'), item, *kinds)
        for offer in agent.offers.values():
            for item in offer.resources.to_list():
                self._note(offer.role, item, 'offered')

    def _note(self, role, item, *kinds):
        for one in self.grow(role):
            for kind in kinds:
                added(getattr(one, kind), {item['name']: _amount(item)})
            if item['type'] != 'SCALAR':
                one.counted.add(item['name'])


class _Role(object):
    """A role with all below it; amounts are {name: thousandths}."""

    def __init__(self, name):
        self.name = name
        self.weight = DEFAULT_WEIGHT
        #: {'guarantees': {name: number}, 'limits': ...}
        self.quota = {}
        #: Ids of the frameworks that have subscribed to this very role.
        self.frameworks = []
        self.reserved, self.consumed, self.allocated, self.offered = {}, {}, {}, {}
        #: Names of ranges and sets, whose members are counted.
        self.counted = set()

    def message(self):
        """The Role message."""
        found = OrderedDict([('name', self.name), ('weight', self.weight)])
        if self.frameworks:
            found['frameworks'] = [{'value': framework_id} for framework_id in self.frameworks]
        total = self._total()
        resources = [{'name': name, 'type': 'SCALAR', 'scalar': {'value': total[name]}}
                     for name in sorted(total) if name not in self.counted]
        if resources:
            found['resources'] = resources
        return found

    def legacy(self):
        """The role in the older JSON."""
        return OrderedDict([
            ('name', self.name), ('weight', self.weight),
            ('quota', OrderedDict([('role', self.name), ('guarantee', _sorted(self.quota.get('guarantees', {}))),
                                   ('limit', _sorted(self.quota.get('limits', {}))),
                                   ('consumed', _sorted(_plain(self.consumed)))])),
            ('resources', _sorted(self._total())), ('allocated', _sorted(_plain(self.allocated))),
            ('offered', _sorted(_plain(self.offered))), ('reserved', _sorted(_plain(self.reserved))),
            ('frameworks', list(self.frameworks))])

    def _total(self):
        total = dict(self.allocated)
        added(total, self.offered)
        return _plain(total)


def _amount(item):
    """How much a Resource is, in thousandths; of ranges and sets the number of members."""
    if item['type'] == 'SCALAR':
        return thousandths(item['scalar']['value'])
    if item['type'] == 'RANGES':
        return 1000 * sum(pair['end'] - pair['begin'] + 1 for pair in item['ranges'].get('range', ()))
    return 1000 * len(item['set'].get('item', ()))


def _is_free(item):
    """Whether a Resource that a role holds counts for its quota though it is not reserved."""
    return not item.get('reservations') and 'revocable' not in item


def _plain(amounts):
    return dict((name, amount / 1000) for name, amount in amounts.items() if amount)


def _sorted(amounts):
    return OrderedDict(sorted(amounts.items()))


def _written(amounts):
    """{name: number} as Mesos writes quantities."""
    return '; '.join('%s:%s' % (name, texts.scalar(amounts[name])) for name in sorted(amounts)) or '{}'


def _covers(amounts, wanted):
    return all(amounts.get(name, 0) >= amount for name, amount in wanted.items())


def _number(value):
    """The number of a Scalar, in which infinity is text."""
    return float(value['value'].replace('Infinity', 'inf')) if isinstance(value['value'], six.string_types) else value[
        'value']


def _numbers(amounts):
    """{name: number} of {name: Scalar}, without what comes to nothing."""
    found = dict((name, float(_number(value))) for name, value in amounts.items())
    return dict((name, number) for name, number in found.items() if round(number * 1000))


def _map(numbers):
    return texts.names(['%s: %s' % (name, texts.scalar(numbers[name])) for name in sorted(numbers, reverse=True)])


def _amounts_error(amounts, kind, name):
    for resource in sorted(amounts):
        number = _number(amounts[resource])
        if number < 0:
            return ("Invalid %s configuration {'%s': %s}: Negative values not supported"
                    % (name, resource, texts.scalar(number)))
        if number > MAX_AMOUNT:
            return ("Invalid 'QuotaConfig.%s': {'%s': %s} is invalid: values greater than 1 trillion (%d) are not "
                    "supported" % (kind, resource, texts.scalar(number), MAX_AMOUNT))
    return None
