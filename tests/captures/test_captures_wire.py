"""Every byte that a real Mesos 1.11.0 sent decodes: whole, byte by byte, at random cuts, over every HTTP parser."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import random
from binascii import hexlify

import captured
import pytest
from wire_reading import at_random, one_by_one, read

from pymesos.wire import httpmsg, recordio
from pymesos.wire.messages import PARSERS, loads

FOLDERS = ['auth', 'executor', 'operator-agent', 'operator-master', 'scheduler', 'wire']

#: The server closed the connection and answered nothing.
SILENT = ['crash-type-UNKNOWN-call.response', 'garbage.response']


@pytest.fixture(params=FOLDERS)
def captures(request):
    """The paths of a folder's captured responses."""
    return captured.paths(request.param, '*.response')


@pytest.fixture(params=httpmsg.BACKENDS)
def backend(request):
    return request.param


def _bytes(path):
    with open(path, 'rb') as file:
        return file.read()


def _decode(backend, pieces):
    """(responses, error, records): the records of the bodies that are streams, with the body cut as it was read."""
    responses, error = read(backend, pieces)
    records = None
    if any('transfer-encoding' in response['headers'] for response in responses):
        decoder = recordio.Decoder()
        records = decoder.feed(responses[0]['body'])
        decoder.close()
    return responses, error, records


def _captured_events(path):
    """The events as the recorder saw them, or None if the capture has no such list."""
    events = path[:-len('.response')] + '.events.jsonl'
    if not os.path.exists(events):
        return None
    with io.open(events, encoding='utf-8') as file:
        return [json.loads(line)['event'] for line in file]


def _read_event(record):
    if record[:1] == b'{':
        event = loads(record)
        assert all(loads(record, parser=parser) == event for parser in PARSERS)
        return event
    return {'type': 'PROTOBUF', 'bytes': hexlify(record).decode('ascii')}


def test_captured_responses_decode_whole(captures, backend):
    for path in captures:
        responses, error, records = _decode(backend, [_bytes(path)])
        if os.path.basename(path) in SILENT:
            assert responses == [], path
            continue
        assert responses, path
        # The recorder hung up inside most streams; every other response is whole.
        assert error == (None if responses[-1]['is_complete'] else 'close'), path
        if records is None:
            assert error is None, path
        else:
            events = _captured_events(path)
            assert records and (events is None or [_read_event(record) for record in records] == events), path


def test_captured_json_answers_are_objects(captures, backend):
    for path in captures:
        for response in _decode(backend, [_bytes(path)])[0]:
            is_json = response['headers'].get('content-type') == 'application/json'
            if is_json and 'content-length' in response['headers'] and 'content-encoding' not in response['headers']:
                if response['body'][:1] == b'{':
                    expected = json.loads(response['body'].decode('utf-8'))
                    assert loads(response['body'], use_addict=True) == expected
                    for parser in PARSERS:
                        assert repr(loads(response['body'], parser=parser)) == repr(expected)


def test_captured_responses_decode_byte_by_byte(captures, backend):
    for path in captures:
        data = _bytes(path)
        assert _decode(backend, one_by_one(data)) == _decode('h11', [data]), path


def test_captured_responses_decode_at_random_cuts(captures, backend):
    seed = random.randrange(2 ** 32)
    print('seed', seed)
    source = random.Random(seed)
    for path in captures:
        data = _bytes(path)
        expected = _decode('h11', [data])
        for _ in range(5):
            assert _decode(backend, at_random(data, source, 50)) == expected, path


def test_captured_streams_decode_in_pieces_through_both_layers(captures, backend):
    for path in captures:
        events = _captured_events(path)
        if not events:
            continue
        parser = httpmsg.ResponseParser(backend)
        decoder = recordio.Decoder()
        found = []
        for piece in one_by_one(_bytes(path)):
            for event in parser.feed(piece):
                if isinstance(event, httpmsg.Body):
                    found += [_read_event(record) for record in decoder.feed(event.data)]
        assert found == events, path
        assert not decoder.is_partial, path
