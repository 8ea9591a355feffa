"""What the cluster behind Popen is told: CONFIG, the environment, and what is taken if neither says anything."""
from __future__ import absolute_import, division, print_function

import math
import os
from collections import OrderedDict, namedtuple

import six

from ..detector import shown
from ..errors import UsageError
from ..resources import Resources, parse

__all__ = ['CONFIG', 'Settings', 'configure', 'resolve']

#: The configuration of this program, read when the first command is started: see :data:`OPTIONS` for the names.
#: What it lacks is taken from the environment, and then from the defaults.
CONFIG = {}

Option = namedtuple('Option', 'default check environment')


def configure(**options):
    """Change :data:`CONFIG`; None takes an entry out of it. Clusters that are made already do not change.

    Raises :class:`UsageError` for a name that is unknown or a value that cannot be, and changes nothing then.
    """
    _checked(options)
    for name, value in options.items():
        if value is None:
            CONFIG.pop(name, None)
        else:
            CONFIG[name] = value


class Settings(object):
    """What holds for one cluster: an attribute for each name of :data:`OPTIONS`; not to be changed."""

    def __init__(self, values, is_assumed=False):
        self.__dict__.update(values)
        #: Whether nobody has said which master.
        self.is_assumed = is_assumed

    def key(self):
        """What tells clusters apart: two commands with equal keys share one."""
        return self.master, self.principal, self.secret

    def __repr__(self):
        return '<Settings for %s>' % self.shown_master       # never the secret

    @property
    def shown_master(self):
        """The master's address as a text may quote it, without a password."""
        return shown(self.master)


def resolve(options=None, environment=None):
    """The :class:`Settings` that follow from `options` (a dict; None counts as not given), CONFIG and the environment.

    The first of these that has a value counts. With no master anywhere it is the embedded cluster. Raises
    :class:`UsageError` for names that are unknown and values that cannot be.
    """
    environment = os.environ if environment is None else environment
    layers = [_checked(options or {}), _checked(CONFIG)]
    values = {}
    for name, option in OPTIONS.items():
        found = [layer[name] for layer in layers if layer.get(name) is not None]
        if not found and option.environment and environment.get(option.environment):
            found = [option.check(name, environment[option.environment])]
        values[name] = found[0] if found else option.default
    is_assumed = values['master'] is None
    if is_assumed:
        values['master'] = 'local'
    return Settings(values, is_assumed)


def _checked(options):
    checked = {}
    for name, value in options.items():
        if name not in OPTIONS:
            raise UsageError('there is no option %r; there are %s' % (name, ', '.join(sorted(OPTIONS))))
        checked[name] = None if value is None else OPTIONS[name].check(name, value)
    return checked


# What values may be. Each function returns the value as it is used, or raises UsageError.

def _wrong(name, value, expected):
    return UsageError('%s=%r: expected %s' % (name, value, expected))


def _text(name, value):
    if isinstance(value, bytes) and not isinstance(value, str):
        value = value.decode('utf-8', 'replace')
    if not isinstance(value, six.string_types):
        raise _wrong(name, value, 'text')
    if not value.strip():
        raise _wrong(name, value, 'text that is not empty')
    return value


def _secret(name, value):
    if not isinstance(value, (bytes, six.text_type)):
        raise UsageError('%s: expected text or bytes' % name)         # which is not shown
    return value


def _amount(lowest, is_open=False):
    def check(name, value):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = float('nan')
        is_good = number > lowest or (number == lowest and not is_open)
        if isinstance(value, bool) or not is_good or math.isinf(number):
            raise _wrong(name, value, 'a number %s %g' % ('above' if is_open else 'of at least', lowest))
        return number
    return check


def _whole(lowest, highest):
    def check(name, value):
        if isinstance(value, bool) or not isinstance(value, (six.integer_types, float)) or value != value // 1 or \
                not lowest <= value <= highest:
            raise _wrong(name, value, 'a whole number from %d to %d' % (lowest, highest))
        return int(value)
    return check


def _flag(name, value):
    if not isinstance(value, bool):
        raise _wrong(name, value, 'True or False')
    return value


def _one_of(*choices):
    def check(name, value):
        if value not in choices:
            raise _wrong(name, value, ' or '.join(repr(choice) for choice in choices))
        return value
    return check


def _scalars(name, value):
    try:
        found = parse(value) if isinstance(value, six.string_types) else Resources(value)
    except UsageError as error:
        raise UsageError('%s: %s' % (name, error))
    if any(resource['type'] != 'SCALAR' for resource in found.to_list()) or not found:
        raise _wrong(name, value, "amounts such as 'cpus:0.01;mem:32'")
    return found


def _variables(name, value):
    if not isinstance(value, dict) or not all(
            isinstance(item, six.string_types) for pair in value.items() for item in pair):
        raise _wrong(name, value, 'a dict of text')
    return dict(value)


def _anything(name, value):
    return value


#: Each name of the configuration: its default, what it may be, and the variable of the environment behind it.
OPTIONS = OrderedDict([
    # Where the master is, as for MesosSchedulerDriver; 'local' if nobody says. With a principal and a secret, basic
    # authentication is used; tls is as for the drivers.
    ('master', Option(None, _text, 'MESOS_MASTER')),
    ('principal', Option(None, _secret, 'DEFAULT_PRINCIPAL')),
    ('secret', Option(None, _secret, 'DEFAULT_SECRET')),
    ('tls', Option(None, _anything, None)),
    # What a command gets that does not say: processors, MiB, GPUs, MiB.
    ('default_cpus', Option(1.0, _amount(0, is_open=True), None)),
    ('default_mem', Option(1024.0, _amount(0), None)),
    ('default_gpus', Option(0, _whole(0, 1e6), None)),
    ('default_disk', Option(0.0, _amount(0), None)),
    # The framework, as the master is told of it: its role, the user that commands run as, its name, the seconds after
    # which the master gives it up for lost, and whether commands outlive a restart of their agent.
    ('role', Option('*', _text, None)),
    ('user', Option(None, _text, None)),
    ('name', Option(None, _text, None)),
    ('failover_timeout', Option(300.0, _amount(0), None)),
    ('checkpoint', Option(True, _flag, None)),
    # The port that executors dial: the address (None: the one of this machine that faces the master) and the port that
    # are listened on (0: any), and what the agents are told instead, where they see this machine by another name.
    ('host', Option(None, _text, None)),
    ('port', Option(0, _whole(0, 65535), None)),
    ('advertised_host', Option(None, _text, None)),
    ('advertised_port', Option(None, _whole(1, 65535), None)),
    # The executor: the Python that runs it, what it takes for itself, seconds that an idle one is kept, whether the
    # agents have pymesos installed (else it is sent to them), what is put into its environment, and what runs images.
    ('python', Option(None, _text, None)),
    ('executor_resources', Option(parse('cpus:0.01;mem:32'), _scalars, None)),
    ('executor_idle', Option(60.0, _amount(0), None)),
    ('use_installed_executor', Option(False, _flag, None)),
    ('executor_environment', Option({}, _variables, None)),
    ('containerizer', Option('mesos', _one_of('mesos', 'docker'), None)),
    # How long a command may take to start, in seconds (None: for as long as it can still come to it), how often one
    # that was lost before it ran is tried again, and the seconds that a master may take to answer at all.
    ('start_timeout', Option(None, _amount(0, is_open=True), None)),
    ('max_retries', Option(3, _whole(0, 1e6), None)),
    ('master_timeout', Option(60.0, _amount(0, is_open=True), None)),
])
