"""Requests out of bytes, however they are cut."""
from __future__ import absolute_import, division, print_function

import random

import pytest
from pymesos.errors import HttpError
from pymesos.serving.requests import (END, MAX_HEAD, Begin, BodyTooLarge, HeadMemory, Piece, Request, RequestParser)

POST = b'POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nbody'
GET = b'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'
CHUNKED = (b'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;ext=1\r\n0123456789\r\n'
           b'0\r\nX-Trailer: y\r\n\r\n')

# (bytes, [(method, target, body, is_last)])
GOOD = [
    (POST, [('POST', '/api/v1', b'body', False)]),
    (GET * 3, [('GET', '/health', b'', False)] * 3),
    (CHUNKED + POST, [('POST', '/', b'abc0123456789', False), ('POST', '/api/v1', b'body', False)]),
    (POST + CHUNKED + GET, [('POST', '/api/v1', b'body', False), ('POST', '/', b'abc0123456789', False),
                            ('GET', '/health', b'', False)]),
    (b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n' + GET,
     [('POST', '/', b'', False), ('GET', '/health', b'', False)]),
    (b'\r\n\r\n' + GET, [('GET', '/health', b'', False)]),
    (b'GET /bare HTTP/1.1\nHost: x\n\n' + GET, [('GET', '/bare', b'', False), ('GET', '/health', b'', False)]),
    (b'GET / HTTP/1.1\r\n\r\n', [('GET', '/', b'', False)]),
    (b'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', [('GET', '/', b'', True)]),
    (b'GET / HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n', [('GET', '/', b'', True)]),
    (b'GET / HTTP/1.0\r\n\r\n', [('GET', '/', b'', True)]),
    (b'GET / HTTP/2.0\r\n\r\n', [('GET', '/', b'', True)]),
    (b'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n', [('GET', '/', b'', False)]),
    (b'GET /%s HTTP/1.1\r\n\r\n' % (b'y' * 70000), [('GET', '/' + 'y' * 70000, b'', False)]),
]

BAD = [
    b'hello\r\n\r\n', b'\x16\x03\x01\x02\x00', b'SSH-2.0-client', b'{"type"', b'x' * 21,
    b'GET /\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost x\r\n\r\n', b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n', b'POST / HTTP/1.1\r\nHost: x\r\n'
    b'Transfer-Encoding: gzip\r\n\r\n', b'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    b'GET / HTTP/1.1\r\nX: ' + b'y' * (MAX_HEAD + 10), b'GET / HTTP/1.1\r\nX: ' + b'y' * (MAX_HEAD + 10) + b'\r\n\r\n',
]


def cuts(data, seed):
    """The bytes whole, byte by byte and at random."""
    yield [data]
    if len(data) < 5000:
        yield [data[place:place + 1] for place in range(len(data))]
    rng = random.Random(seed)
    for _ in range(5):
        places = sorted(rng.sample(range(1, len(data)), min(len(data) - 1, 6)))
        yield [data[a:b] for a, b in zip([0] + places, places + [len(data)])]


def read(parser, pieces):
    return [(event.head.method, event.head.target, event.body, event.head.is_last)
            for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize('data, expected', GOOD)
def test_requests_are_the_same_however_they_are_cut(data, expected, random_seed):
    for pieces in cuts(data, random_seed):
        assert read(RequestParser(), pieces) == expected


@pytest.mark.parametrize('data', BAD)
def test_what_is_no_request_is_an_error_for_good(data, random_seed):
    for pieces in cuts(data, random_seed):
        parser = RequestParser()
        with pytest.raises(HttpError):
            read(parser, pieces)
        with pytest.raises(HttpError):
            parser.feed(GET)


def test_requests_before_an_error_are_not_lost():
    parser = RequestParser()
    assert len(parser.feed(GET + GET + b'garbage\r\n\r\n')) == 2
    assert isinstance(parser.error, HttpError)
    with pytest.raises(HttpError):
        parser.feed(b'')


def test_headers_are_told_by_lower_case_name_and_joined():
    head = RequestParser().feed(b'GET / HTTP/1.1\r\nX-A: 1\r\nACCEPT: text/html\r\nx-a:  2 \r\n\r\n')[0].head
    assert head.headers == {'x-a': '1, 2', 'accept': 'text/html'}


def test_equal_heads_are_read_once_and_shared():
    memory = HeadMemory()
    first, second = RequestParser(memory), RequestParser(memory)
    assert first.feed(POST)[0].head is second.feed(POST)[0].head


def test_memory_of_heads_is_bounded():
    parser = RequestParser()
    for number in range(5000):
        parser.feed(b'GET /%d HTTP/1.1\r\nHost: x\r\n\r\n' % number)
    assert len(parser._memory._heads) <= 2000


@pytest.mark.parametrize('data', [
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n', CHUNKED,
    b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890'])
def test_body_above_the_ceiling_is_refused(data):
    with pytest.raises(BodyTooLarge) as caught:
        RequestParser(max_body=10).feed(data)
    assert 'at most 10 are allowed' in str(caught.value)


def test_body_of_the_ceiling_is_taken():
    parser = RequestParser(max_body=10)
    assert parser.feed(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789')[0].body == b'0123456789'


@pytest.mark.parametrize('data, body', [(POST, b'body'), (CHUNKED, b'abc0123456789')])
def test_streamed_body_comes_in_pieces_without_a_ceiling(data, body, random_seed):
    for pieces in cuts(data + GET, random_seed):
        parser = RequestParser(max_body=1, is_streamed=lambda head: head.method == 'POST')
        events = [event for piece in pieces for event in parser.feed(piece)]
        assert type(events[0]) is Begin and events[0].head.method == 'POST'
        assert type(events[-1]) is Request and events[-1].head.method == 'GET'
        assert events[-2] is END
        assert all(type(event) is Piece and event.data for event in events[1:-2])
        assert b''.join(event.data for event in events[1:-2]) == body


def test_streamed_body_without_bytes_begins_and_ends():
    parser = RequestParser(is_streamed=lambda head: True)
    begin, end = parser.feed(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
    assert type(begin) is Begin and end is END
