"""What is asked of the cluster for one command: what to run, with which streams, and where it may run.

Pure: nothing here opens, starts or asks anything but the environment and the folder of the program.
"""
from __future__ import absolute_import, division, print_function

import os
from collections import namedtuple

import six

from .._compat import NullByteError, fsencode
from ..errors import UsageError
from ..utils import decode_data, encode_data

__all__ = ['FILE', 'INHERITED', 'NULL', 'PIPE', 'Request', 'Stream', 'Streams', 'TO_STDOUT', 'command_text',
           'make_spec']

#: Kinds of descriptors: the end of a pipe that we made for the caller, what the caller passed, and the program's own.
PIPE, FILE, INHERITED = 'pipe', 'file', 'inherited'

#: What a stream of the command is connected to on the agent, besides PIPE: nothing, or (stderr) what its stdout is.
NULL, TO_STDOUT = 'null', 'stdout'

#: The largest user or group id, 32 bits less the one that means "no change".
MAX_ID = 2 ** 32 - 2


class Stream(namedtuple('Stream', 'descriptor kind')):
    """One stream at the program's end: a descriptor, which is the cluster's from ``launch`` on, and its kind.

    The descriptor of a PIPE is our end of it, never blocks and is ours alone; that of a FILE or INHERITED is a
    duplicate of what others may use too, in whatever mode it is.
    """

    __slots__ = ()


class Streams(namedtuple('Streams', 'stdin stdout stderr')):
    """The three streams of a command, each a :class:`Stream`, or None where nothing flows."""

    __slots__ = ()


_FIELDS = ('cpus', 'mem', 'gpus', 'disk', 'role', 'constraints', 'image', 'uris', 'name', 'labels', 'max_retries',
           'start_timeout', 'preexec')


def _is_text(value):
    return isinstance(value, six.string_types) and bool(value)


def _are_labels(value):
    return isinstance(value, dict) and all(
        isinstance(key, six.string_types) and isinstance(text, _LABEL) for key, text in value.items())


_LABEL = six.string_types + six.integer_types + (float,)

#: Of what is no number: what it must be, and that in words. The rest is seen to where it is used.
_SHAPES = {'role': (_is_text, 'text'), 'name': (_is_text, 'text'), 'labels': (_are_labels, 'a dict of text')}


class Request(namedtuple('Request', _FIELDS)):
    """What a command wants of the cluster. None leaves a thing to the cluster's configuration.

    :param cpus: processors; 0 is as configured too
    :param mem: memory in MiB; 0 is as configured too
    :param gpus: GPUs, a whole number
    :param disk: disk in MiB
    :param role: the role whose offers may be taken
    :param constraints: attributes an agent must have: ``'rack:r1'``, a list of such, or a dict
    :param image: container image, text or a dict as Mesos' Image
    :param uris: what Mesos fetches into the sandbox: texts, or dicts as Mesos' CommandInfo.URI
    :param name: the task's name
    :param labels: a dict of text
    :param max_retries: how often a command that was lost before it ran is tried again
    :param start_timeout: seconds within which it must run
    :param preexec: the pickled ``preexec_fn``, bytes
    :raises UsageError: a number is none, or out of range, or another value cannot be
    """

    __slots__ = ()

    def __new__(cls, **wanted):
        unknown = set(wanted) - set(_FIELDS)
        if unknown:
            raise TypeError('no such request: %s' % ', '.join(sorted(unknown)))
        for name in ('cpus', 'mem'):
            wanted[name] = wanted.get(name) or None         # 0 as 0.3.15 took it
        for name in ('cpus', 'mem', 'gpus', 'disk', 'max_retries', 'start_timeout'):
            _check_number(name, wanted.get(name))
        for name, (is_good, expected) in _SHAPES.items():
            value = wanted.get(name)
            if value is not None and not is_good(value):
                raise UsageError('%s=%r: expected %s' % (name, value, expected))
        return super(Request, cls).__new__(cls, *[wanted.get(name) for name in _FIELDS])

    def __reduce__(self):
        return _rebuild, (tuple(self),)


def _rebuild(values):
    return Request(**dict(zip(_FIELDS, values)))


def _check_number(name, value):
    if value is None:
        return
    is_whole = name in ('gpus', 'max_retries')
    try:
        # Not <= : a NaN compares false either way.
        is_good = not isinstance(value, bool) and 0 <= float(value) < float('inf')
        is_good = is_good and (not is_whole or value == int(value))
    except (TypeError, ValueError, OverflowError):
        is_good = False
    if not is_good or (name == 'start_timeout' and value == 0):
        raise UsageError('%s=%r: expected a %snumber %s 0' % (
            name, value, 'whole ' if is_whole else '', 'above' if name == 'start_timeout' else 'of at least'))


def make_spec(args, executable=None, shell=False, cwd=None, env=None, stdin=PIPE, stdout=PIPE, stderr=PIPE,
              umask=-1, user=None, group=None, extra_groups=None, start_new_session=False, process_group=None,
              restore_signals=True, has_preexec=False):
    """The START message (dict) of a command, from the arguments of Popen of the same names.

    `stdin`, `stdout`, `stderr` are PIPE or NULL, `stderr` also TO_STDOUT. Without `env` the program's environment is
    taken; without `cwd` its folder, but that need not exist on the agent.

    Raises what the standard library's Popen raises for what it cannot pass on: TypeError, ValueError (for a null byte
    TypeError on Python 2.7), OverflowError.
    """
    return {
        'type': 'START',
        'args': [encode_data(_system_bytes(arg)) for arg in _command_line(args, shell)],
        'executable': None if executable is None else encode_data(_system_bytes(executable)),
        'shell': bool(shell),
        'cwd': _folder(cwd),
        'cwd_must_exist': cwd is not None,
        'env': _environment(env),
        'env_is_inherited': env is None,
        'stdin': stdin, 'stdout': stdout, 'stderr': stderr,
        'umask': umask if umask >= 0 else None,
        'user': _identity('User', user),
        'group': _identity('Group', group),
        'extra_groups': _extra_groups(extra_groups),
        'start_new_session': bool(start_new_session),
        'process_group': process_group if process_group is not None and process_group >= 0 else None,
        'restore_signals': bool(restore_signals),
        'has_preexec': bool(has_preexec),
    }


def command_text(spec):
    """The command line of a START message as text for people: a task's name, a log line."""
    return u' '.join(decode_data(arg).decode('utf-8', 'replace') for arg in spec['args'])


def _command_line(args, shell):
    if isinstance(args, (bytes, six.text_type)):
        return [args]
    if hasattr(args, '__fspath__'):
        if shell:
            raise TypeError('path-like args is not allowed when shell is true')
        return [args]
    args = list(args)
    if not args:
        raise IndexError('list index out of range')
    return args


def _system_bytes(text):
    data = fsencode(text)
    if b'\0' in data:
        raise NullByteError('embedded null byte')
    return data


def _folder(cwd):
    """The folder as the agent is told it, whole: what is relative is so to the program's own folder."""
    cwd = None if cwd is None else _system_bytes(cwd)
    try:
        here = fsencode(os.getcwd())
    except OSError:                 # removed, or not ours to see
        return None if cwd is None else encode_data(cwd)
    return encode_data(here if cwd is None else os.path.join(here, cwd))


# The program's environment as it was last: (its items, the same packed).
_latest = [], None


def _environment(env):
    global _latest
    if env is not None:
        return _packed(env.items())
    items = list(getattr(os, 'environb', os.environ).items())
    known, packed = _latest
    if packed is None or items != known:
        packed = _packed(items)
        _latest = items, packed
    return packed


def _packed(items):
    """As protocol.unpack_environment() reads it."""
    pairs = []
    for name, value in items:
        name = fsencode(name)
        if b'=' in name:
            raise ValueError('illegal environment variable name')
        pairs.append(name + b'=' + fsencode(value))
    packed = b'\0'.join(pairs)
    if packed.count(b'\0') > max(0, len(pairs) - 1):
        raise NullByteError('embedded null byte')
    return encode_data(packed)


def _identity(what, identity):
    """A user or group: its name, which the agent looks up, or its number."""
    if identity is None:
        return None
    if isinstance(identity, (bytes, six.text_type)):
        return identity if isinstance(identity, six.text_type) else identity.decode('utf-8')
    if not isinstance(identity, six.integer_types):
        raise TypeError('%s must be a string or an integer, not %s' % (what, type(identity).__name__))
    if identity < 0:
        raise ValueError('%s ID cannot be negative, got %s' % (what, identity))
    if identity > MAX_ID:
        raise OverflowError('%s ID %d is greater than maximum' % (what.lower(), identity))
    return int(identity)


def _extra_groups(groups):
    if groups is None:
        return None
    if isinstance(groups, (bytes, six.text_type)):
        raise TypeError('extra_groups must be a list, not %s' % type(groups).__name__)
    try:
        return [_identity('Group', group) for group in groups]
    except OverflowError as error:
        raise ValueError('invalid gid: %s' % (error,))
