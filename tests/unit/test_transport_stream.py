"""A stream gives out every record that came, in order, before it says how it ended."""
from __future__ import absolute_import, division, print_function

import fcntl
import logging
import socket
import struct
import termios
import threading
import time

import pytest

from pymesos.errors import ConnectionLost, RecordError
from pymesos.testing import wait_until
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


@pytest.mark.parametrize('is_paused', [False, True])
def test_what_has_come_counts_when_the_stream_is_given_up(monkeypatch, is_paused):
    monkeypatch.setattr(module, 'MOST_READS', 1)
    records = [b'x' * 10000] * 20
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * READ_BYTES)
    data = HEAD + chunk(b''.join(map(recordio.encode, records)))
    assert theirs.send(data) == len(data) > 3 * READ_BYTES
    loop = Loop()
    listener = Listener(loop)
    listener.stream = Stream(loop, ours, parse_address('127.0.0.1:5050'), listener, 1 << 20)
    listener.stream.subscribe(b'')
    if is_paused:
        listener.stream.pause()
    error = ConnectionLost('the test gives it up')
    assert listener.stream.abandon(error)
    loop.run()
    theirs.close()
    assert listener.records == records and listener.error is error


class Lending(Listener):
    """Lends the stream whenever it may to a thread of its own, which takes `most` batches at a time."""

    def __init__(self, loop, room=None, most=None):
        super(Lending, self).__init__(loop, room)
        self.by_loop = self.by_reader = 0
        self.is_promised = threading.Event()
        self.has_ended = False
        self.most = most
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def stream_records(self, records):
        self.by_loop += 1
        has_room = super(Lending, self).stream_records(records)
        self.stream.lend(self.promise)
        return has_room

    def promise(self):
        self.is_promised.set()
        return True

    def read(self):
        while not self.has_ended:
            assert self.is_promised.wait(60)
            self.is_promised.clear()
            taken = 0
            while taken != self.most and self.stream.read_lent(self.decode, self.deliver):
                taken += 1

    def decode(self, records):
        return None if b'for the loop' in records else list(records)

    def deliver(self, batch):
        assert self.error is None
        self.by_reader += 1
        self.records += batch
        return True

    def stream_ended(self, error):
        super(Lending, self).stream_ended(error)
        self.has_ended = True
        self.is_promised.set()


def in_pieces(records, size=None):
    """Chunks of one record each, or of `size` bytes however the records are cut."""
    data = [recordio.encode(record) for record in records]
    if size is not None:
        data = b''.join(data)
        data = [data[start:start + size] for start in range(0, len(data), size)]
    return [chunk(piece) for piece in data]


def unread(sock):
    """How many bytes sent on one end of a socket pair have not been read at the other."""
    return struct.unpack('i', fcntl.ioctl(sock, termios.TIOCOUTQ, b'\0\0\0\0'))[0]


def read_slowly(pieces, make=Lending):
    """What a listener is told of `pieces` that are sent one by one, each when the one before was read."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = Loop()
    listener = make(loop)
    listener.stream = Stream(loop, ours, parse_address('127.0.0.1:5050'), listener, 1 << 20)

    def send():
        for piece in pieces:
            try:
                theirs.sendall(piece)
            except socket.error:        # it was closed
                break
            while unread(theirs) and not listener.has_ended:
                time.sleep(0.0002)
        theirs.close()

    sending = threading.Thread(target=send)
    sending.start()
    listener.stream.subscribe(b'')
    loop.run()
    listener.has_ended = True
    listener.is_promised.set()
    listener.thread.join()
    sending.join()
    return listener


SMALL = [('%d' % number).encode('ascii') * (1 + number % 20) for number in range(100)]


@pytest.fixture
def patient(monkeypatch):
    """However slow the machine: what comes comes fast, and is waited for."""
    monkeypatch.setattr(module, 'LENT', 5.0)


@pytest.mark.parametrize('size', [None, 7, 200])
def test_records_that_come_fast_are_read_by_the_thread_that_the_stream_is_lent_to(size, patient):
    listener = read_slowly([HEAD] + in_pieces(SMALL, size))
    assert listener.records == SMALL
    assert listener.by_reader > listener.by_loop
    assert isinstance(listener.error, ConnectionLost)


def test_the_loop_reads_on_when_nobody_reads_what_is_lent():
    listener = read_slowly([HEAD] + in_pieces(SMALL), lambda loop: Lending(loop, most=5))
    assert listener.records == SMALL
    assert listener.by_reader > 1 and listener.by_loop > 2


def test_the_loop_reads_on_when_nothing_comes():
    listeners = []

    def paused():
        yield HEAD
        for piece in in_pieces(SMALL):
            yield piece
            if piece == in_pieces(SMALL)[50]:
                wait_until(lambda: listeners[0].stream._is_reading)

    listener = read_slowly(paused(), lambda loop: listeners.append(Lending(loop)) or listeners[0])
    assert listener.records == SMALL


def test_what_is_more_than_records_is_left_to_the_loop(patient):
    records = SMALL[:30] + [b'for the loop'] + SMALL[30:]
    listener = read_slowly([HEAD] + in_pieces(records))
    assert listener.records == records and listener.by_reader


@pytest.mark.parametrize('end, kind', [
    (chunk(b'garbage\n'), RecordError), (chunk(b'9999999\n'), RecordError), (chunk(b'12\nhalf'), RecordError),
    (b'nonsense\r\n', httpmsg.HttpError), (b'0\r\n\r\n', ConnectionLost), (b'', ConnectionLost)])
@pytest.mark.parametrize('is_alone', [True, False])
def test_what_ends_a_lent_stream_is_told_behind_the_records(end, kind, is_alone, patient):
    pieces = in_pieces(SMALL)
    pieces = pieces + [end] if is_alone else pieces[:-1] + [pieces[-1] + end]
    listener = read_slowly([HEAD] + pieces)
    assert listener.records == SMALL and listener.by_reader
    assert type(listener.error) is kind


def test_a_flood_is_read_by_the_loop():
    listener = read(HEAD + b''.join(chunk(recordio.encode(record)) for record in RECORDS), make=Lending)
    listener.thread.join()
    assert listener.records == RECORDS


def test_an_error_of_the_reader_ends_the_stream(patient):
    class Failing(Lending):
        def decode(self, records):
            raise MemoryError('no more')

        def read(self):
            with pytest.raises(MemoryError):
                Lending.read(self)
            self.failed = True

    listener = read_slowly([HEAD] + in_pieces(SMALL), Failing)
    assert listener.failed and 'no more' in str(listener.error)
    assert listener.records == SMALL[:len(listener.records)]


def test_a_stream_may_be_closed_while_another_thread_reads_it(patient):
    class Closing(Lending):
        is_closed = False

        def stream_records(self, records):
            has_room = Lending.stream_records(self, records)
            if self.stream._is_lent and not self.is_closed:
                wait_until(lambda: self.stream._has_reader)
                self.stream.close()
                self.is_closed = True
                self.stream_ended(None)
            return has_room

    listeners, pieces = [], in_pieces(SMALL)

    def until_it_is_closed():
        for piece in [HEAD] + pieces[:10]:
            yield piece
        wait_until(lambda: listeners[0].has_ended)      # more would have the reader be done before it is seen to read
        for piece in pieces[10:]:
            yield piece

    listener = read_slowly(until_it_is_closed(), lambda loop: listeners.append(Closing(loop)) or listeners[0])
    assert listener.is_closed and listener.records == SMALL[:len(listener.records)]
    with pytest.raises((OSError, socket.error)):
        listener.stream._sock.getsockname()         # it is closed


def test_parsers_in_use_are_told(caplog):
    with caplog.at_level(logging.DEBUG, logger='pymesos.transport.stream'):
        read(HEAD)
    assert 'reading the stream of 127.0.0.1:5050 with %s and %s' % (
        httpmsg.BACKENDS[0], messages.PARSERS[0]) in caplog.text
