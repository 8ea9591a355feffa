"""Mutates good and bad wire data and checks what must hold for any bytes.

By hand, until it is interrupted: ``python tests/fuzz/fuzz_wire.py [--seconds N] [--seed N]``; a bounded run is in
test_fuzz_wire.py. A failure prints the seed and the input in hexadecimal, which ``--input HEX`` checks again.
"""
from __future__ import absolute_import, division, print_function

import argparse
import base64
import io
import json
import os
import random
import sys
import time
from binascii import hexlify, unhexlify

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == '__main__':
    sys.path.insert(0, os.path.dirname(TESTS))

from pymesos.errors import HttpError, MessageError, RecordError  # noqa: E402
from pymesos.wire import httpmsg, messages, recordio  # noqa: E402

#: What mutations put in.
TOKENS = [b'\r\n', b'\r\n\r\n', b'\n', b'\r', b'0', b'1', b'5', b'a', b'F', b' ', b'\t', b';', b':', b',', b'+', b'-',
          b'_', b'\x00', b'\xff', b'0\r\n\r\n', b'HTTP/1.1 ', b'200', b'100', b'204', b'Content-Length: ', b'chunked',
          b'Transfer-Encoding: chunked\r\n', b'Content-Length: 0\r\n', b'18446744073709551616', b'ffffffffffffffff',
          b'{"type":"HEARTBEAT"}', b'20\n{"type":"HEARTBEAT"}', b'{', b'"', b'\\u', b'[[[[[[[[', b'1e999', b'NaN']

MAX_RECORD = 10000


def seeds():
    """The inputs of the vectors, and a stream of records in chunks."""
    inputs = []
    for name, field, decode in (('http_responses.json', 'input_base64', base64.b64decode),
                                ('recordio.json', 'input_hex', unhexlify)):
        with io.open(os.path.join(TESTS, 'vectors', name), encoding='ascii') as file:
            inputs += [decode(case[field]) for case in json.load(file)['cases']]
    record = recordio.encode(b'{"type":"HEARTBEAT"}')
    chunk = ('%x\r\n' % len(record)).encode('ascii') + record + b'\r\n'
    inputs.append(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk * 5 + b'0\r\n\r\n')
    inputs.append(b'{"type":"OFFERS","offers":{"offers":[{"id":{"value":"\\u20ac"},"x":1.5,"y":[true,null]}]}}')
    return inputs


def mutate(data, inputs, source):
    """`data` with some bytes put in, taken out, replaced or doubled, as the random source says."""
    for _ in range(source.randrange(1, 6)):
        start = source.randrange(len(data) + 1)
        end = min(len(data), start + source.choice([0, 0, 1, 1, 2, 5, 50]))
        new = source.choice([b'', source.choice(TOKENS), data[start:end] * 2,
                             bytes(bytearray([source.randrange(256)])), source.choice(inputs)])
        data = data[:start] + new + data[end:]
    return data[:MAX_RECORD]


def check(data, source):
    """AssertionError, or any other exception but a ProtocolError, is a bug."""
    size = source.choice([1, 1, 2, 3, 7, 20, 100])
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    assert _decode_records([data]) == _decode_records(pieces)
    accepted = []
    for backend in httpmsg.BACKENDS:
        whole, whole_error, parts = _read_responses(backend, [data])
        found, error, found_parts = _read_responses(backend, pieces)
        assert (found, error) == (whole, whole_error), backend
        if whole_error != 'feed':
            assert found_parts == parts, backend
        if error is None:
            accepted.append((found, found_parts))
    # A parser may refuse what another takes, but they may not read the same bytes differently.
    assert all(reading == accepted[0] for reading in accepted)
    _check_message(data)


def _check_message(data):
    for parser, use_addict in [(parser, False) for parser in messages.PARSERS] + [(messages.PARSERS[0], True)]:
        try:
            message = messages.loads(data, use_addict, parser)
        except MessageError:
            continue
        assert isinstance(message, dict)


def _decode_records(pieces):
    decoder = recordio.Decoder(MAX_RECORD)
    records = []
    try:
        for piece in pieces:
            records += decoder.feed(piece)
            assert decoder.buffered <= MAX_RECORD
            if decoder.error is not None:
                raise decoder.error
        decoder.close()
    except RecordError as error:
        return records, _kind(error)
    return records, None


def _kind(error):
    assert len(str(error)) < 1500, str(error)
    return 'close' if 'ended' in str(error) else 'feed'


def _read_responses(backend, pieces):
    """(heads and ends, error, bodies): of a body with an error in it more may be told if it comes in pieces."""
    parser = httpmsg.ResponseParser(backend)
    events, bodies, error = [], [], None
    try:
        for piece in pieces:
            _gather(parser.feed(piece), events, bodies)
            if parser.error is not None:
                raise parser.error
        _gather(parser.close(), events, bodies)
    except HttpError as raised:
        error = _kind(raised)
    return events, error, [b''.join(body) for body in bodies]


def _gather(new, events, bodies):
    for event in new:
        if isinstance(event, httpmsg.Body):
            bodies[-1].append(event.data)
            continue
        events.append(event)
        if isinstance(event, httpmsg.Head):
            assert event.status >= 200
            bodies.append([])


def run(seed, seconds=None, rounds=None):
    """Checks mutations until the time or the rounds are over; how many it were."""
    source = random.Random(seed)
    inputs = seeds()
    started = time.time()
    count = 0
    while (rounds is None or count < rounds) and (seconds is None or time.time() - started < seconds):
        data = mutate(source.choice(inputs), inputs, source)
        try:
            check(data, source)
        except Exception:
            print('seed %d, round %d, input %s' % (seed, count, hexlify(data).decode('ascii')))
            raise
        count += 1
    return count


def main():
    parser = argparse.ArgumentParser(description='Fuzz the wire formats.')
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--seed', type=int, default=random.randrange(2 ** 32))
    parser.add_argument('--input', metavar='HEX')
    options = parser.parse_args()
    if options.input is not None:
        check(unhexlify(options.input), random.Random(options.seed))
        return
    print('seed %d, parsers %s' % (options.seed, ', '.join(httpmsg.BACKENDS + messages.PARSERS)))
    try:
        print('%d inputs, nothing found' % run(options.seed, options.seconds))
    except KeyboardInterrupt:
        print('interrupted, nothing found')


if __name__ == '__main__':
    main()
