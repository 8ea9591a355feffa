"""pymesos.errors: the tree, the facts, pickling."""
from __future__ import absolute_import, division, print_function

import copy
import errno
import inspect
import pickle
import socket

import pytest

from pymesos import errors
from pymesos.errors import (CallRejected, ConnectionFailed, ConnectionLost, HttpError, InvalidAddress, MesosError,
                            MessageError, ProtocolError, RecordError, Refused, Stopped, SubscriptionEnded, TimedOut,
                            UsageError, excerpt)

EXAMPLES = [
    (MesosError('m'), {}),
    (UsageError('u'), {}),
    (InvalidAddress('i', 'zk://***@h'), {'address': 'zk://***@h'}),
    (InvalidAddress('i'), {'address': None}),
    (ProtocolError('p'), {}),
    (HttpError('h'), {}),
    (RecordError('r'), {}),
    (MessageError('m'), {}),
    (ConnectionFailed('c', '10.0.0.1:5050', errno.ECONNREFUSED),
     {'address': '10.0.0.1:5050', 'errno': errno.ECONNREFUSED}),
    (ConnectionFailed('c'), {'address': None, 'errno': None}),
    (ConnectionLost('c', 'a:1'), {'address': 'a:1', 'errno': None}),
    (TimedOut('t', address='a:1', errno=errno.ETIMEDOUT), {'address': 'a:1', 'errno': errno.ETIMEDOUT}),
    (Refused('r'), {}),
    (CallRejected('Failed to send KILL to a:1: HTTP status 403: no', 403, 'no', 'KILL', 'a:1'),
     {'status': 403, 'body': 'no', 'call': 'KILL', 'address': 'a:1'}),
    (CallRejected('c'), {'status': None, 'body': None, 'call': None, 'address': None}),
    (SubscriptionEnded('s', 'Framework has been removed'), {'reason': 'Framework has been removed'}),
    (Stopped('s'), {}),
    (MesosError(u'text with \xfc'), {}),
]


def same(error, other, facts):
    assert type(other) is type(error)
    assert other.args == error.args
    for name in facts:
        assert getattr(other, name) == facts[name]
    assert repr(other) == repr(error)


@pytest.mark.parametrize('error, facts', EXAMPLES)
def test_error_has_its_facts_and_keeps_them_when_copied_or_pickled(error, facts):
    same(error, error, facts)
    same(error, copy.copy(error), facts)
    same(error, copy.deepcopy(error), facts)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        other = pickle.loads(pickle.dumps(error, protocol))
        same(error, other, facts)
        same(error, pickle.loads(pickle.dumps(other, protocol)), facts)


def test_facts_that_were_added_later_are_kept():
    error = CallRejected('c', 400)
    error.attempt = 3
    assert pickle.loads(pickle.dumps(error)).attempt == 3


def test_subclasses_of_users_pickle():
    other = pickle.loads(pickle.dumps(MyError('mine', 'a:1', errno.EPIPE)))
    assert (type(other), str(other), other.address, other.errno) == (MyError, 'mine', 'a:1', errno.EPIPE)


class MyError(ConnectionLost):
    pass


def test_every_error_of_the_module_has_an_example_and_is_named():
    found = {value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, MesosError)}
    assert {type(error) for error, _ in EXAMPLES} == found
    assert set(errors.__all__) == {cls.__name__ for cls in found} | {'excerpt'}


@pytest.mark.parametrize('error', [error for error, _ in EXAMPLES if error.args != (u'text with \xfc',)])
def test_text_is_the_message(error):
    assert str(error) == error.args[0]


def test_tree():
    kinds = (UsageError, ProtocolError, ConnectionFailed, Refused, Stopped)
    assert {cls.__bases__[0] for cls in kinds} == {MesosError}
    assert issubclass(InvalidAddress, UsageError) and issubclass(InvalidAddress, ValueError)
    assert all(issubclass(cls, ProtocolError) for cls in (HttpError, RecordError, MessageError))
    assert all(issubclass(cls, ConnectionFailed) for cls in (ConnectionLost, TimedOut))
    assert all(issubclass(cls, Refused) for cls in (CallRejected, SubscriptionEnded))
    assert issubclass(CallRejected, RuntimeError)
    for cls in (ConnectionFailed, ConnectionLost, TimedOut):
        assert issubclass(cls, OSError) and issubclass(cls, socket.error)
    assert not [(one, two) for one in kinds for two in kinds if one is not two and issubclass(one, two)]


def test_tree_in_the_docstring_is_complete():
    for name in errors.__all__:
        if name != 'excerpt':
            assert name in errors.__doc__.replace('|--', ' ').replace('`--', ' ').split()


@pytest.mark.parametrize('data, text', [
    (b'short', repr(b'short')), (u'short', repr(u'short')), (b'', repr(b'')),
    (b'x' * 200, repr(b'x' * 200)),
    (b'x' * 201, repr(b'x' * 200) + '... (201 in all)'),
    (b'\x00' * 5000, repr(b'\x00' * 200) + '... (5000 in all)'),
])
def test_excerpt_is_cut(data, text):
    assert excerpt(data) == text


def test_excerpt_takes_a_limit():
    assert excerpt(b'abcdef', 3) == repr(b'abc') + '... (6 in all)'
