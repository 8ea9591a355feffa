"""Which types a request has and may be answered with, by the rules and in the words of Mesos (PROTOCOL 1.2)."""
from __future__ import absolute_import, division, print_function

from .model.effects import refuse

__all__ = ['JSON', 'PROTOBUF', 'RECORDIO', 'accepts_gzip', 'accepts_type', 'check_accept', 'check_content_type',
           'check_method', 'check_message_accept', 'check_message_type', 'check_streaming']

JSON = 'application/json'
PROTOBUF = 'application/x-protobuf'
RECORDIO = 'application/recordio'

#: The agent's calls whose answer is a stream of a container's output.
STREAMING_CALLS = ('ATTACH_CONTAINER_OUTPUT', 'LAUNCH_NESTED_CONTAINER_SESSION')

_TWO = 'application/json or application/x-protobuf'
_THREE = _TWO + ' or application/recordio'


def _choose(value, names):
    """Whether a header that lists choices allows the first of `names`, the rest being ever wider patterns for it.

    The narrowest pattern that is listed decides; a quality other than 0 means nothing.
    """
    listed = {}
    for item in value.split(','):
        parts = [part.strip() for part in item.split(';')]
        listed.setdefault(parts[0].lower(), not any(_is_zero(part) for part in parts[1:]))
    for name in names:
        if name in listed:
            return listed[name]
    return False


def _is_zero(parameter):
    name, _, value = parameter.partition('=')
    try:
        return name.strip() == 'q' and float(value) == 0
    except ValueError:
        return False


def accepts_type(value, media_type):
    """Whether an Accept header (text, or None if there is none) allows a media type."""
    return value is None or _choose(value, (media_type, media_type.partition('/')[0] + '/*', '*/*'))


def accepts_gzip(value):
    """Whether an Accept-Encoding header (text or None) allows gzip."""
    return value is not None and _choose(value, ('gzip', '*'))


def check_method(method):
    """The refusal of a method other than POST, or None."""
    if method == 'POST':
        return None
    return refuse(405, "405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'." % method)._replace(
        headers=(('Allow', 'POST'),))


def check_content_type(headers, may_stream=False):
    """The refusal of a request that has no Content-Type or another one than it may, or None."""
    value = headers.get('content-type')
    if value is None:
        return refuse(400, "Expecting 'Content-Type' to be present")
    if value in (JSON, PROTOBUF) or may_stream and value == RECORDIO:
        return None
    return refuse(415, "Expecting 'Content-Type' of " + (_THREE if may_stream else _TWO))


def check_message_type(headers):
    """The refusal for its Message-Content-Type of a request to an agent whose Content-Type is good, or None."""
    value = headers.get('message-content-type')
    if headers['content-type'] != RECORDIO:
        return None if value is None else refuse(
            415, "Expecting 'Message-Content-Type' to be not set for non-streaming requests")
    if value is None:
        return refuse(400, "Expecting 'Message-Content-Type' to be set for streaming requests")
    return None if value in (JSON, PROTOBUF) else refuse(415, "Expecting 'Message-Content-Type' of " + _TWO)


def check_accept(headers, may_stream=False):
    """(the type to answer with, None), or (None, the refusal).

    Where Mesos would answer in protobuf, which is not spoken here, the request is refused as well.
    """
    value = headers.get('accept')
    if accepts_type(value, JSON):
        return JSON, None
    if may_stream and not accepts_type(value, PROTOBUF) and accepts_type(value, RECORDIO):
        return RECORDIO, None
    return None, refuse(406, "Expecting 'Accept' to allow " + (
        _THREE if may_stream else "'application/x-protobuf' or 'application/json'"))


def check_message_accept(headers, accepted):
    """The refusal for its Message-Accept of a request to an agent that is to be answered with `accepted`, or None."""
    value = headers.get('message-accept')
    if accepted != RECORDIO:
        return None if value is None else refuse(
            406, "Expecting 'Message-Accept' to be not set for non-streaming responses")
    return None if accepts_type(value, JSON) else refuse(406, "Expecting 'Message-Accept' to allow " + _TWO)


def check_streaming(call_type, is_streamed, accepted):
    """The refusal of an agent's call that does not come, or cannot be answered, in the way it asks for, or None."""
    if call_type == 'ATTACH_CONTAINER_INPUT' and not is_streamed:
        return refuse(415, "Expecting 'Content-Type' to be application/recordio for ATTACH_CONTAINER_INPUT call")
    if call_type != 'ATTACH_CONTAINER_INPUT' and is_streamed:
        return refuse(415, "Streaming 'Content-Type' application/recordio is not supported for %s call" % call_type)
    if accepted == RECORDIO and call_type not in STREAMING_CALLS:
        return refuse(406, 'Streaming response is not supported for %s call' % call_type)
    return None
