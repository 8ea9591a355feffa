"""The HTTP adapter: one suite for every parser that can be imported, whole, byte by byte and at random cuts."""
from __future__ import absolute_import, division, print_function

import base64
import io
import json
import os
import pickle
import random

import pytest
from wire_reading import VECTORS, at_random, cut, one_by_one, read

from pymesos.errors import HttpError, UsageError
from pymesos.wire import httpmsg

ACCEPTED = b'HTTP/1.1 202 Accepted\r\nDate: Sun, 22 Nov 2026 06:31:42 GMT\r\nContent-Length: 0\r\n\r\n'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'


def _cases():
    with io.open(os.path.join(VECTORS, 'http_responses.json'), encoding='ascii') as file:
        return json.load(file)['cases']


@pytest.fixture(params=_cases(), ids=lambda case: case['name'].replace(' ', '-'))
def case(request):
    return request.param


@pytest.fixture(params=httpmsg.BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def expected(case):
    responses = []
    for response in case['responses']:
        response = dict(response)
        response['body'] = base64.b64decode(response.pop('body_base64'))
        responses.append(response)
    return responses, case['error']


@pytest.fixture
def data(case):
    return base64.b64decode(case['input_base64'])


def _check(found, expected):
    # http-parser tells nothing of a chunk that does not end as it should.
    if expected[1] == 'feed' and found[0] and not found[0][-1]['is_complete']:
        body = found[0][-1]['body']
        assert expected[0][-1]['body'].startswith(body)
        found[0][-1]['body'] = expected[0][-1]['body']
    assert found == expected


def test_vector_fed_whole(backend, data, expected):
    _check(read(backend, [data]), expected)


def test_vector_fed_byte_by_byte(backend, data, expected):
    _check(read(backend, one_by_one(data)), expected)


def test_vector_fed_in_two_pieces_cut_anywhere(backend, data, expected):
    for position in range(len(data)):
        print('position', position)
        _check(read(backend, cut(data, [position])), expected)


def test_vector_fed_at_random_cuts(backend, data, expected):
    seed = random.randrange(2 ** 32)
    print('seed', seed)
    source = random.Random(seed)
    for _ in range(20):
        _check(read(backend, at_random(data, source)), expected)


def test_the_first_backend_is_the_default():
    assert httpmsg.ResponseParser().backend == httpmsg.BACKENDS[0]
    assert httpmsg.BACKENDS[-1] == 'h11'


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(UsageError) as raised:
        httpmsg.ResponseParser('guess')
    assert str(raised.value) == "cannot read HTTP with 'guess': importable here: %s" % ', '.join(httpmsg.BACKENDS)


@pytest.mark.parametrize('data, text', [
    (b'garbage', "cannot read HTTP: expected a response of HTTP/1.1, the peer sent %r" % b'garbage'),
    (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
     'cannot read HTTP: expected the Transfer-Encoding chunked and no Content-Length, '
     'the peer sent %r with the Content-Length 5' % u'chunked'),
])
def test_errors_say_what_came_and_what_was_expected(backend, data, text):
    parser = httpmsg.ResponseParser(backend)
    try:
        parser.feed(data)
    except HttpError as error:
        assert str(error) == text
    assert str(parser.error) == text


def test_a_content_length_of_minus_one_is_named(backend):
    with pytest.raises(HttpError) as raised:
        httpmsg.ResponseParser(backend).feed(b'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n')
    assert str(raised.value).startswith('cannot read HTTP: ')
    assert 'Content-Length: -1' in str(raised.value)


def test_an_error_in_a_chunk_is_named(backend):
    parser = httpmsg.ResponseParser(backend)
    assert parser.feed(CHUNKED + b'2\r\nhi\r\n')[1:] == [httpmsg.Body(b'hi')]
    with pytest.raises(HttpError) as raised:
        parser.feed(b'gg\r\n')
    assert str(raised.value).startswith('cannot read HTTP: ')
    assert str(raised.value).endswith(', in a chunked body')


def test_an_error_is_raised_at_every_later_call(backend):
    parser = httpmsg.ResponseParser(backend)
    assert parser.error is None
    for call in (lambda: parser.feed(b'garbage'), lambda: parser.feed(ACCEPTED), parser.close, parser.close):
        with pytest.raises(HttpError) as raised:
            call()
        assert str(raised.value) == str(parser.error)


def test_what_came_before_an_error_is_returned_and_the_error_is_known_at_once(backend):
    parser = httpmsg.ResponseParser(backend)
    events = parser.feed(ACCEPTED + CHUNKED + b'2\r\nhi\r\nyz\r\n')
    assert [type(event).__name__ for event in events] == ['Head', 'End', 'Head', 'Body']
    assert events[-1].data == b'hi'
    assert isinstance(parser.error, HttpError)
    with pytest.raises(HttpError):
        parser.feed(b'')


def test_the_end_inside_a_head_is_quoted(backend):
    parser = httpmsg.ResponseParser(backend)
    assert parser.feed(b'HTTP/1.1 20') == []
    with pytest.raises(HttpError) as raised:
        parser.close()
    assert str(raised.value) == 'cannot read HTTP: the connection ended inside a head: %r' % b'HTTP/1.1 20'


def test_the_end_inside_a_body_is_an_error(backend):
    parser = httpmsg.ResponseParser(backend)
    parser.feed(b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab')
    with pytest.raises(HttpError) as raised:
        parser.close()
    assert str(raised.value) == 'cannot read HTTP: the connection ended inside the body of a response'


@pytest.mark.parametrize('step', [1, 100, 10 ** 6])
def test_a_head_above_the_limit_is_refused(backend, step):
    head = b'HTTP/1.1 200 OK\r\nX: ' + b'x' * httpmsg.MAX_HEAD + b'\r\n\r\n'
    parser = httpmsg.ResponseParser(backend)
    with pytest.raises(HttpError) as raised:
        for position in range(0, len(head), step):
            assert position <= httpmsg.MAX_HEAD + step
            parser.feed(head[position:position + step])
    assert 'has more than the 65536 bytes that are allowed: ' in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize('step', [1, 100, 10 ** 6])
def test_a_head_at_the_limit_is_read(backend, step):
    frame = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n'
    filling = b'x' * (httpmsg.MAX_HEAD - len(frame))
    head = frame[:-4] + filling + frame[-4:]
    assert len(head) == httpmsg.MAX_HEAD
    responses, error = read(backend, [head[at:at + step] for at in range(0, len(head), step)])
    assert error is None
    assert responses[0]['headers'][u'x'] == filling.decode('ascii')


def test_a_parser_that_quotes_all_that_was_sent_is_cut_short():
    with pytest.raises(HttpError) as raised:
        httpmsg.ResponseParser().feed(b'HTTP/1.1 200 OK\r\nno header ' + b'\xff' * 5000 + b'\r\n\r\n')
    assert str(raised.value).startswith('cannot read HTTP: illegal header line: ')
    assert 'in all)' in str(raised.value) and len(str(raised.value)) < 1500


def test_many_different_heads_are_all_read(backend):
    head = 'HTTP/1.1 202 Accepted\r\nX: %d\r\nContent-Length: 0\r\n\r\n'
    data = b''.join((head % (number % 100)).encode('ascii') for number in range(1000))
    responses, error = read(backend, [data])
    assert error is None
    assert [response['headers']['x'] for response in responses] == ['%d' % (number % 100) for number in range(1000)]


def test_chunk_sizes_do_not_add_up_to_an_overlong_head(backend):
    parser = httpmsg.ResponseParser(backend)
    parser.feed(CHUNKED)
    piece = b'1\r\nx\r\n' * 10000
    length = 0
    for _ in range(10):
        length += sum(len(event.data) for event in parser.feed(piece))
    assert length == 10 ** 5
    assert parser.feed(b'0\r\n\r\n') == [httpmsg.End()]


def test_a_body_above_32_bits_is_counted(backend):
    parser = httpmsg.ResponseParser(backend)
    parser.feed(b'HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n')
    assert parser.feed(b'x' * 1000) == [httpmsg.Body(b'x' * 1000)]
    with pytest.raises(HttpError):
        parser.close()


def test_a_bare_line_feed_ends_no_line_of_a_chunked_body(backend):
    # Some parsers go on waiting for the carriage return, the others refuse the line feed.
    for data in (b'5\nhello\n0\n\n', b'5\nhello\r\n0\r\n\r\n', b'0\r\n\n',
                 b'0\r\n\n' + ACCEPTED):
        responses, error = read(backend, [CHUNKED + data])
        assert error in ('feed', 'close')
        assert (responses[0]['body'], responses[0]['is_complete']) == (b'', False)


def test_close_between_responses_is_no_error(backend):
    parser = httpmsg.ResponseParser(backend)
    assert parser.close() == []
    parser = httpmsg.ResponseParser(backend)
    parser.feed(ACCEPTED)
    assert parser.close() == []


def test_events_can_be_compared_printed_and_pickled():
    head = httpmsg.Head(200, 'OK', {'a': 'b'})
    assert head.status == 200 and head.reason == 'OK' and head.headers == {'a': 'b'}
    assert httpmsg.End() == httpmsg.End() and not httpmsg.End() != httpmsg.End()
    assert httpmsg.End() != httpmsg.Body(b'') and hash(httpmsg.End()) == hash(httpmsg.End())
    assert repr(httpmsg.End()) == 'End()' and bool(httpmsg.End())
    assert pickle.loads(pickle.dumps(head, 2)) == head


def test_a_request_has_its_headers_in_order_and_its_length():
    assert httpmsg.request('POST', '/api/v1', [('Host', 'a:5050'), ('B', ''), ('A', u'x')], b'{}') == (
        b'POST /api/v1 HTTP/1.1\r\nHost: a:5050\r\nB: \r\nA: x\r\nContent-Length: 2\r\n\r\n{}')


def test_a_request_without_a_body_has_a_length_too():
    assert httpmsg.request(u'GET', u'/', []) == b'GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n'


def test_a_request_carries_any_bytes():
    body = bytes(bytearray(range(256)))
    request = httpmsg.request('POST', u'/', [(u'X', u'caf\xe9')], body)
    assert request == b'POST / HTTP/1.1\r\nX: caf\xe9\r\nContent-Length: 256\r\n\r\n' + body


@pytest.mark.parametrize('method, target, headers, text', [
    ('PO ST', '/', [], 'the method has'),
    ('POST', '/ HTTP/1.1\r\nX: y', [], 'the target has'),
    ('POST', '', [], 'the target has'),
    ('POST', '/', [('X\r\nY', 'z')], 'the name of a header has'),
    ('POST', '/', [('X:', 'z')], 'the name of a header has'),
    ('POST', '/', [('Authorization', 'secret\r\nX: y')], 'the value of the header Authorization has'),
    ('POST', '/', [('X', 'a\nb')], 'the value of the header X has'),
    ('POST', '/', [('X', 'a\n')], 'the value of the header X has'),
    ('POST', '/', [('X', 'a\r\n')], 'the value of the header X has'),
    ('POST', '/', [('X', 'a\r\n\r\nGET / HTTP/1.1')], 'the value of the header X has'),
    ('POST', '/', [('', 'a')], 'the name of a header has'),
    ('POST', '/', [('A', 'b'), ('X', 'a\0b')], 'the value of the header X has'),
    ('POST', '/', [('X', u'\u20ac')], 'the value of the header X has'),
])
def test_a_request_that_would_break_the_message_is_refused(method, target, headers, text):
    with pytest.raises(UsageError) as raised:
        httpmsg.request(method, target, headers)
    assert str(raised.value) == 'cannot write a request: %s characters that HTTP does not allow there' % text
