"""A stream gives out every record that came, in order, before it says how it ended."""
from __future__ import absolute_import, division, print_function

import logging
import socket
import threading

import pytest

from pymesos.errors import ConnectionLost, RecordError
from pymesos.transport import stream as module
from pymesos.transport.loop import READ_BYTES, Loop
from pymesos.transport.stream import MOST_READS, Stream
from pymesos.utils import parse_address
from pymesos.wire import httpmsg, messages, recordio

HEAD = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
RECORDS = [('%d' % number).encode('ascii') * (1 + number % 3000) for number in range(1000)]


def chunk(data):
    return ('%x\r\n' % len(data)).encode('ascii') + data + b'\r\n'


class Listener(object):
    """Keeps what the stream tells; `loop` ends with it. Room for `room` records at a time, then it is resumed."""

    def __init__(self, loop, room=None):
        self.loop = loop
        self.room = room
        self.stream = None
        self.records = []
        self.batches = []
        self.error = None

    def stream_answered(self, head):
        assert head.status == 200

    def stream_records(self, records):
        assert self.error is None
        self.records += records
        self.batches.append(len(records))
        if self.room is None or len(records) <= self.room:
            return True
        self.loop.post(self.stream.resume)
        return False

    def stream_ended(self, error):
        assert self.error is None
        self.error = error
        self.loop.close()


def read(data, room=None, make=Listener):
    """What a listener is told of `data` and the end of the connection behind it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = Loop()
    listener = make(loop, room)
    listener.stream = Stream(loop, ours, parse_address('127.0.0.1:5050'), listener, 1 << 20)

    def send():
        theirs.sendall(data)
        theirs.close()

    sending = threading.Thread(target=send)
    sending.start()
    listener.stream.subscribe(b'')
    loop.run()
    sending.join()
    return listener


def test_records_of_several_reads_are_given_out_in_order_and_together():
    data = HEAD + b''.join(chunk(recordio.encode(record)) for record in RECORDS)
    assert len(data) > 3 * MOST_READS * READ_BYTES
    listener = read(data)
    assert listener.records == RECORDS
    assert str(listener.error) == '127.0.0.1:5050 closed the connection' and isinstance(listener.error, ConnectionLost)


@pytest.mark.parametrize('end, kind', [
    (chunk(b'garbage\n'), RecordError), (chunk(b'9999999\n'), RecordError), (chunk(b'12\nhalf'), RecordError),
    (b'nonsense\r\n', httpmsg.HttpError), (b'0\r\n\r\n', ConnectionLost), (b'', ConnectionLost)])
def test_records_before_a_bad_end_are_given_out(end, kind):
    for count in (1, 40):
        data = HEAD + b''.join(chunk(recordio.encode(record)) for record in RECORDS[:count])
        listener = read(data + end)
        assert listener.records == RECORDS[:count]
        assert type(listener.error) is kind


def test_a_stream_that_pauses_loses_nothing():
    listener = read(HEAD + chunk(b''.join(recordio.encode(record) for record in RECORDS)), room=3)
    assert listener.records == RECORDS and len(listener.batches) > 1


@pytest.mark.parametrize('is_resumed', [True, False])
def test_a_stream_that_rests_reads_on_by_itself_or_when_it_is_resumed(monkeypatch, is_resumed):
    monkeypatch.setattr(module, 'REST', 30.0 if is_resumed else 0.01)
    rests = []

    class Resting(Listener):
        def stream_records(self, records):
            has_room = Listener.stream_records(self, records)
            self.stream.rest()
            rests.append(self.stream._is_reading)
            if is_resumed:
                self.loop.post(self.stream.resume)
            return has_room

    listener = read(HEAD + chunk(b''.join(recordio.encode(record) for record in RECORDS)), make=Resting)
    assert listener.records == RECORDS
    assert len(rests) > 1 and not any(rests)


def test_parsers_in_use_are_told(caplog):
    with caplog.at_level(logging.DEBUG, logger='pymesos.transport.stream'):
        read(HEAD)
    assert 'reading the stream of 127.0.0.1:5050 with %s and %s' % (
        httpmsg.BACKENDS[0], messages.PARSERS[0]) in caplog.text
