"""What the tests of the wire formats share: bytes in pieces -> the responses or records that a program would see."""
from __future__ import absolute_import, division, print_function

import os

from pymesos.errors import HttpError, RecordError
from pymesos.wire import httpmsg

VECTORS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'vectors')


def cut(data, cuts):
    """`data` in pieces that end at the positions `cuts`."""
    edges = [0] + sorted(cuts) + [len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:])]


def one_by_one(data):
    """`data` in pieces of a byte."""
    return cut(data, range(1, len(data)))


def at_random(data, source, most=20):
    """`data` in pieces cut at up to `most` places that the random source chooses."""
    return cut(data, [source.randrange(len(data) + 1) for _ in range(source.randrange(1, most))])


def read(backend, pieces):
    """(responses, error): each response a dict as in the vectors; the error None, 'feed' or 'close'."""
    parser = httpmsg.ResponseParser(backend)
    responses = []
    for piece in pieces:
        try:
            _gather(responses, parser.feed(piece))
        except HttpError:
            assert parser.error is not None
        if parser.error is not None:
            return responses, 'feed'
    try:
        _gather(responses, parser.close())
    except HttpError:
        return responses, 'close'
    return responses, None


def _gather(responses, events):
    for event in events:
        if isinstance(event, httpmsg.Head):
            assert not responses or responses[-1]['is_complete']
            responses.append({'status': event.status, 'reason': event.reason, 'headers': event.headers, 'body': b'',
                              'is_complete': False})
            continue
        assert not responses[-1]['is_complete']
        if isinstance(event, httpmsg.Body):
            assert event.data and type(event.data) is bytes
            responses[-1]['body'] += event.data
        else:
            assert isinstance(event, httpmsg.End)
            responses[-1]['is_complete'] = True


def decode_records(decoder, pieces):
    """(records, where an error came): what a RecordIO decoder makes of pieces, ``'feed'``, ``'close'`` or None."""
    records = []
    for piece in pieces:
        try:
            records += decoder.feed(piece)
        except RecordError:
            assert decoder.error is not None
        if decoder.error is not None:
            return records, 'feed'
    try:
        decoder.close()
    except RecordError:
        return records, 'close'
    return records, None
