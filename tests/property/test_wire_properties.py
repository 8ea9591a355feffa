"""Properties of the wire formats that hold for any input, however it is cut."""
from __future__ import absolute_import, division, print_function

import json
import os
import pickle
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'unit'))
from wire_reading import cut, decode_records, read  # noqa: E402

from pymesos.errors import HttpError, MessageError, RecordError  # noqa: E402
from pymesos.wire import httpmsg, messages, recordio  # noqa: E402
from pymesos.wire.backoff import Backoff, Spread  # noqa: E402

#: A failure prints how to repeat it; a slow machine is no failure.
unhurried = settings(print_blob=True)

backends = st.sampled_from(httpmsg.BACKENDS)

#: Where to cut, as parts of the whole.
cuts = st.lists(st.floats(0.0, 1.0), max_size=20)

#: Bytes that are often nearly right.
record_bytes = st.one_of(st.binary(max_size=200), st.lists(
    st.sampled_from([b'0', b'1', b'5', b'10', b'\n', b'+', b' ', b'_', b'\r', b'x', b'hello']), max_size=40
).map(b''.join))
http_bytes = st.lists(st.sampled_from([
    b'HTTP/1.1 200 OK\r\n', b'HTTP/1.1 202 Accepted\r\n', b'HTTP/1.1 100 Continue\r\n', b'HTTP/1.0 204 None\r\n',
    b'Content-Length: 5\r\n', b'Content-Length: 0\r\n', b'Content-Length: -1\r\n', b'Transfer-Encoding: chunked\r\n',
    b'X: y\r\n', b'\r\n', b'\n', b'\r', b'5\r\nhello\r\n', b'5\r\n', b'hello', b'0\r\n', b'0\r\n\r\n', b'\xff', b'g',
]), max_size=14).map(b''.join)

headers = st.dictionaries(
    st.text('abcdefghijklmnopqrstuvwxyz-', min_size=1, max_size=10).filter(
        lambda name: name not in ('content-length', 'transfer-encoding', 'connection')),
    st.text('abcXYZ 0123:;,/=', max_size=10).map(lambda text: text.strip()), max_size=4)

numbers = st.integers(-2 ** 63, 2 ** 64 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, finite, st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=20)
#: Pieces of JSON that are often nearly right; no more digits in a row than an integer of 64 bits has.
json_bytes = st.lists(st.sampled_from([
    b'{', b'}', b'[', b']', b':', b',', b'"', b'"a"', b'"a":', b'"b":{', b'1', b'-', b'0', b'.5', b'e5',
    b'E+400', b'e-9', b'NaN', b'Infinity', b'null', b'true', b'false', b' ', b'\n', b'\t', b'\x0c', b'\\n',
    b'\\u0000', b'\\ud83d', b'\\ude00', b'\\', b'\xc3\xa9', b'\xed\xa0\x80', b'\xff', b'\x00', b'\xef\xbb\xbf',
    b'"x":18446744073709551615,', b'"y":-9223372036854775808,', b'/', b"'",
]), max_size=12).map(lambda parts: b'{"a":' + b''.join(parts) + b'}')
objects = st.dictionaries(st.text(max_size=6), values, max_size=5)


def _cut(data, parts):
    return cut(data, [int(part * len(data)) for part in parts])


def _decode(pieces, max_record=1000):
    return decode_records(recordio.Decoder(max_record), pieces)


@unhurried
@given(st.lists(st.binary(max_size=300), max_size=20), cuts)
def test_what_is_encoded_is_decoded_however_it_is_cut(records, parts):
    assert _decode(_cut(b''.join(recordio.encode(record) for record in records), parts)) == (records, None)


@unhurried
@given(record_bytes, cuts)
def test_any_bytes_decode_the_same_however_they_are_cut(data, parts):
    assert _decode(_cut(data, parts)) == _decode([data])


@unhurried
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
def test_a_stream_that_is_cut_short_loses_no_whole_record_and_is_reported(records, data):
    stream = b''.join(recordio.encode(record) for record in records)
    length = data.draw(st.integers(0, len(stream)))
    found, error = _decode([stream[:length]])
    assert found == records[:len(found)]
    rest = length - sum(len(recordio.encode(record)) for record in found)
    assert (error is None) == (rest == 0)


@unhurried
@given(record_bytes, cuts)
def test_no_more_is_held_than_was_announced(data, parts):
    decoder = recordio.Decoder(50)
    for piece in _cut(data, parts):
        try:
            decoder.feed(piece)
        except RecordError:
            break
        assert decoder.buffered <= 50


def _response(status, reason, fields, body, sizes):
    """(bytes, expected): a response, chunked if there are sizes of chunks."""
    lines = [(u'HTTP/1.1 %d %s\r\n' % (status, reason)).encode('ascii')]
    fields = dict(fields)
    if sizes is None:
        fields['content-length'] = u'%d' % len(body)
        coded = body
    else:
        fields['transfer-encoding'] = u'chunked'
        coded, rest = b'', body
        for size in sizes:
            chunk, rest = rest[:size], rest[size:]
            coded += ('%x\r\n' % len(chunk)).encode('ascii') + chunk + b'\r\n' if chunk else b''
        coded += ('%X\r\n' % len(rest)).encode('ascii') + rest + b'\r\n' if rest else b''
        coded += b'0\r\n\r\n'
    lines += [(u'%s: %s\r\n' % field).encode('ascii') for field in fields.items()]
    expected = {'status': status, 'reason': reason, 'headers': fields, 'body': body, 'is_complete': True}
    return b''.join(lines) + b'\r\n' + coded, expected


responses = st.builds(
    _response, st.sampled_from([200, 202, 307, 400, 401, 403, 503]), st.text('aBc d', max_size=8).map(
        lambda text: text.strip()), headers,
    st.one_of(st.binary(max_size=300), st.lists(st.sampled_from([b'\r', b'\n', b'0', b'\r\n\r\n', b'x']), max_size=30)
              .map(b''.join)),
    st.one_of(st.none(), st.lists(st.integers(1, 40), max_size=10)))


@unhurried
@given(backends, st.lists(responses, max_size=5), cuts)
def test_pipelined_responses_are_read_however_they_are_cut(backend, made, parts):
    data = b''.join(response for response, _ in made)
    assert read(backend, _cut(data, parts)) == ([expected for _, expected in made], None)


@unhurried
@given(http_bytes, cuts)
def test_any_bytes_read_the_same_however_they_are_cut(data, parts):
    for backend in httpmsg.BACKENDS:
        whole, whole_error = read(backend, [data])
        found, error = read(backend, _cut(data, parts))
        # Of the response in which an error is, more may be told if it came in pieces.
        if whole_error == error == 'feed' and whole and not whole[-1]['is_complete']:
            shorter, longer = sorted([whole[-1].pop('body'), found[-1].pop('body')], key=len)
            assert longer.startswith(shorter)
        assert (found, error) == (whole, whole_error), backend


@unhurried
@given(st.binary(max_size=300))
def test_garbage_is_an_http_error_or_waits_for_more(data):
    for backend in httpmsg.BACKENDS:
        parser = httpmsg.ResponseParser(backend)
        try:
            parser.feed(data)
            parser.close()
        except HttpError as error:
            assert str(error) == str(parser.error)
            assert len(str(error)) < 1500


@unhurried
@given(objects, st.booleans())
def test_what_is_written_is_read(message, use_addict):
    read_back = messages.loads(messages.dumps(message), use_addict)
    assert read_back == message
    assert messages.loads(messages.dumps(read_back)) == message


@unhurried
@given(objects)
def test_a_loaded_dict_is_what_addict_makes(message):
    import addict
    data = json.dumps(message).encode('ascii')
    ours, theirs = messages.loads(data, use_addict=True), addict.Dict(json.loads(data.decode('ascii')))
    assert ours == theirs and repr(ours.to_dict()) == repr(theirs.to_dict())
    assert ours.deepcopy() == theirs.deepcopy() == message
    assert pickle.loads(pickle.dumps(ours, 2)) == message
    _assert_same_shape(ours, theirs)


def _assert_same_shape(ours, theirs):
    if isinstance(theirs, dict):
        assert type(ours) is messages.Dict
        assert ours.never_there_1.and_below == {} and 'never_there_1' not in ours
        for key in theirs:
            _assert_same_shape(ours[key], theirs[key])
    elif isinstance(theirs, list):
        assert type(ours) is list and len(ours) == len(theirs)
        for mine, yours in zip(ours, theirs):
            _assert_same_shape(mine, yours)
    else:
        assert type(ours) is type(theirs)


@unhurried
@given(st.one_of(st.binary(max_size=100), st.text(max_size=100).map(lambda text: text.encode('utf-8', 'replace'))))
def test_any_bytes_are_a_message_or_a_message_error(data):
    try:
        assert isinstance(messages.loads(data), dict)
    except MessageError as error:
        assert str(error).startswith('cannot read a message: ')


def _outcome(data, parser):
    try:
        return repr(messages.loads(data, parser=parser))
    except MessageError as error:
        return str(error)


@unhurried
@given(json_bytes)
def test_all_parsers_read_the_same_and_refuse_the_same(data):
    assert len(set(_outcome(data, parser) for parser in messages.PARSERS)) == 1


@unhurried
@given(objects, st.booleans())
def test_all_parsers_read_what_is_written(message, is_ascii):
    data = json.dumps(message, ensure_ascii=is_ascii)
    data = data if isinstance(data, bytes) else data.encode('utf-8', 'replace')
    assert len(set(_outcome(data, parser) for parser in messages.PARSERS)) == 1


@unhurried
@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.floats(1.0, 100.0), st.floats(0.0, 100.0),
       st.floats(0.0, 1.0), st.floats(0.0, 1.0, width=32).filter(lambda number: number < 1.0), st.integers(0, 10 ** 6))
def test_delays_stay_within_their_bounds(first, base, factor, cap, jitter, number, attempt):
    delay = Backoff(first, base, factor, cap, jitter, lambda: number).delay(attempt)
    assert 0.0 <= delay <= cap
    assert 0.0 <= Spread(cap, lambda: number).delay(attempt) <= cap


@pytest.mark.parametrize('backend', httpmsg.BACKENDS)
def test_the_properties_cover_every_backend(backend):
    assert read(backend, [b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'])[1] is None
