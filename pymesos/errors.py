"""Every exception of the library.

::

    MesosError
    |-- UsageError                      you misused the API
    |   `-- InvalidAddress              ... with an address that cannot be read (a ValueError)
    |-- ProtocolError                   the peer broke the protocol
    |   |-- HttpError                   ... of HTTP
    |   |-- RecordError                 ... of RecordIO
    |   `-- MessageError                ... of JSON or of the v1 API
    |-- ConnectionFailed                the network failed (an OSError)
    |   |-- ConnectionLost              ... an open connection ended before the answer came
    |   `-- TimedOut                    ... nothing came in time
    |-- Refused                         Mesos said no
    |   |-- CallRejected                ... to a call, with an HTTP status (a RuntimeError)
    |   `-- SubscriptionEnded           ... with an ERROR event
    `-- Stopped                         you asked to stop while this was under way

Facts are attributes; every exception pickles.
"""
from __future__ import absolute_import, division, print_function

from ._compat import NetworkError, TextError

__all__ = ['CallRejected', 'ConnectionFailed', 'ConnectionLost', 'HttpError', 'InvalidAddress', 'MesosError',
           'MessageError', 'ProtocolError', 'RecordError', 'Refused', 'Stopped', 'SubscriptionEnded', 'TimedOut',
           'UsageError', 'excerpt']

#: How many bytes of a peer's data an error's text quotes.
EXCERPT_BYTES = 200


def excerpt(data, limit=EXCERPT_BYTES):
    """The repr of a peer's data, cut at `limit` bytes or characters."""
    if len(data) <= limit:
        return repr(data)
    return '%r... (%d in all)' % (data[:limit], len(data))


def _rebuild(cls, args, facts):
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    for name in facts:
        setattr(error, name, facts[name])
    return error


class MesosError(TextError):
    """The root of all errors of this library."""

    def __reduce__(self):
        facts = dict(self.__dict__)
        if getattr(self, 'errno', None) is not None:
            facts['errno'] = self.errno
        return _rebuild, (type(self), self.args, facts)


class UsageError(MesosError):
    """The API was misused; the text says how to use it."""


class InvalidAddress(UsageError, ValueError):
    """An address cannot be read. `address` is what was given, a password in it replaced by ``***``."""

    def __init__(self, message, address=None):
        super(InvalidAddress, self).__init__(message)
        self.address = address


class ProtocolError(MesosError):
    """The peer broke the protocol; its connection is of no more use."""


class HttpError(ProtocolError):
    """The peer sent what is not HTTP/1.1."""


class RecordError(ProtocolError):
    """The peer sent what is not RecordIO, or a record above the ceiling, or ended inside a record."""


class MessageError(ProtocolError):
    """A record or a body is not JSON in UTF-8, or not a message of the v1 API."""


class ConnectionFailed(MesosError, NetworkError):
    """The network failed. `address` is the peer (text) and `errno` the system's number, where known.

    It is an :class:`OSError`; on Python 2.7 a :class:`socket.error`.
    """

    def __init__(self, message, address=None, errno=None):
        super(ConnectionFailed, self).__init__(message)
        self.address = address
        self.errno = errno


class ConnectionLost(ConnectionFailed):
    """An open connection ended before the answer came. The call may or may not have taken effect."""


class TimedOut(ConnectionFailed):
    """Nothing came in time. A call that timed out may or may not have taken effect."""


class Refused(MesosError):
    """Mesos said no."""


class CallRejected(Refused, RuntimeError):
    """Mesos answered a call with a status that is not 2xx.

    `status` is the HTTP status (int), `body` the peer's text, `call` the type of the call (such as
    ``'ACCEPT'``), `address` the peer.
    """

    def __init__(self, message, status=None, body=None, call=None, address=None):
        super(CallRejected, self).__init__(message)
        self.status = status
        self.body = body
        self.call = call
        self.address = address


class SubscriptionEnded(Refused):
    """Mesos ended the subscription with an ERROR event; its text is `reason`."""

    def __init__(self, message, reason=None):
        super(SubscriptionEnded, self).__init__(message)
        self.reason = reason


class Stopped(MesosError):
    """The driver was stopped while this was under way."""
