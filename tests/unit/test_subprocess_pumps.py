"""Sources and sinks: from descriptors to descriptors, without waiting and without work where nothing flows."""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import logging
import os
import pty
import socket
import threading

import pytest

from pymesos.subprocess.streams import descriptors
from pymesos.subprocess.streams.descriptors import PolledStream, Stream, open_stream
from pymesos.subprocess.streams.link import WINDOW
from pymesos.testing import wait_until
from subprocess_conduits import is_blocking, is_open, make_pipe, read_all, running

DATA = bytes(bytearray(position * 31 % 256 for position in range(1000003)))

F_GETPIPE_SZ, F_SETPIPE_SZ = 1032, 1031

is_linux = pytest.mark.skipif(not os.path.exists('/proc/self/fd'), reason='needs /proc')


@pytest.fixture
def world():
    with running() as world:
        world.connect()
        yield world


class Writer(threading.Thread):
    """Writes to a descriptor until all is written or nobody reads; closes it."""

    def __init__(self, descriptor, data=DATA, times=1):
        super(Writer, self).__init__()
        self.daemon = True
        self.descriptor = descriptor
        self.data, self.times = data, times
        self.written = 0
        self.error = None
        self.start()

    def run(self):
        try:
            for _ in range(self.times):
                view = memoryview(self.data)
                while len(view):
                    count = os.write(self.descriptor, view[:4096])
                    self.written += count
                    view = view[count:]
        except (IOError, OSError) as error:
            self.error = error.errno
        os.close(self.descriptor)


def source(world, descriptor, is_own=True, **kwargs):
    return world.do(world.executor.attach_source, 2, descriptor, is_own, **kwargs)


def sink(world, descriptor, is_own=True, **kwargs):
    return world.do(world.program.attach_sink, 2, descriptor, is_own, **kwargs)


def stream(world):
    """(write end of the source's pipe, read end of the sink's)."""
    feeding, given = make_pipe()
    taken, writing = make_pipe()
    source(world, feeding)
    sink(world, writing)
    return given, taken


# ---- what flows

def test_what_is_written_on_one_side_is_read_on_the_other_and_ends_there(world):
    given, taken = stream(world)
    writer = Writer(given)
    assert read_all(taken) == DATA
    writer.join()


def test_small_pieces_arrive_at_once(world):
    given, taken = stream(world)
    for number in range(100):
        os.write(given, b'%d' % number)
        assert os.read(taken, 100) == b'%d' % number
    os.close(given)
    assert read_all(taken) == b''


def test_stream_goes_on_over_new_connections(world):
    given, taken = stream(world)
    writer = Writer(given, times=5)
    data = bytearray()
    while len(data) < 5 * len(DATA):
        data += os.read(taken, 65536)
        if len(data) // 500000 > len(world.program.errors):
            world.cut()
            world.connect()
    assert bytes(data) == 5 * DATA and read_all(taken) == b''
    writer.join()
    assert len(world.program.errors) >= 8


def test_sides_tell_when_they_have_closed(world):
    given, taken = make_pipe()
    closed = []
    source(world, given, closed=closed.append)
    os.close(taken)
    wait_until(lambda: closed)
    pump, = closed
    assert not pump.is_open and not is_open(given)


# ---- who does not read, and who does not write

def test_writer_that_never_stops_stands_still_when_nobody_reads_and_costs_nothing(world):
    given, taken = stream(world)
    writer = Writer(given, times=10)
    seen = []
    wait_until(lambda: seen.append(writer.written) or len(seen) > 50 and len(set(seen[-50:])) == 1)
    world.rests()

    def turns_of_one_order():
        before = world.turns
        world.do(int)
        return world.turns - before

    wait_until(lambda: turns_of_one_order() <= 2)       # the writer may have been slow
    # Two pipes, of which one or both are larger than at first, and the window.
    assert writer.written <= WINDOW + 2 * descriptors.GROWN_SIZE
    held = world.program.sinks[2]._queue
    assert sum(map(len, held)) <= WINDOW
    assert read_all(taken) == 10 * DATA
    writer.join()


def test_source_that_nobody_writes_costs_nothing(world):
    given, taken = stream(world)
    world.rests()
    os.close(given)
    assert read_all(taken) == b''


def test_writer_gets_a_broken_pipe_when_the_reader_is_gone(world):
    given, taken = stream(world)
    writer = Writer(given, times=1000)
    os.read(taken, 1000)
    os.close(taken)
    writer.join(30)
    assert writer.error == errno.EPIPE


def test_reader_that_goes_while_nothing_flows_is_noticed(world):
    given, taken = stream(world)
    world.rests()
    os.close(taken)
    wait_until(lambda: not world.executor.sources[2].is_open)
    with pytest.raises(OSError) as caught:
        os.write(given, b'x')
    assert caught.value.errno == errno.EPIPE
    os.close(given)


def test_sink_without_a_source_on_the_other_side_ends_with_the_channel(world):
    taken, writing = make_pipe()
    sink(world, writing)
    world.do(world.executor.link.end, 2)
    world.do(world.executor.flush)
    assert read_all(taken) == b''


def test_channel_that_nothing_is_attached_to_is_stopped(world):
    feeding, given = make_pipe()
    writer = Writer(given, times=1000)
    source(world, feeding)
    writer.join(30)
    assert writer.error == errno.EPIPE


def test_source_is_read_only_while_it_is_wanted(world):
    feeding, given = make_pipe()
    taken, writing = make_pipe()
    os.write(given, b'early')
    source(world, feeding, is_wanted=False)
    sink(world, writing)
    world.rests()
    assert world.executor.sources[2].offset == 0
    world.do(world.executor.sources[2].want, True)
    assert os.read(taken, 100) == b'early'
    world.do(world.executor.sources[2].want, False)
    os.write(given, b'later')
    world.rests()
    assert world.executor.sources[2].offset == 5
    world.do(world.executor.sources[2].want, True)
    os.close(given)
    assert read_all(taken) == b'later'


def test_source_knows_what_it_can_still_read(world):
    feeding, given = make_pipe()
    os.write(given, b'0123456789')
    pump = source(world, feeding, is_wanted=False)
    assert world.do(pump.reachable) == 10
    world.do(pump.want, True)
    wait_until(lambda: pump.offset == 10)
    assert world.do(pump.reachable) == 10
    os.close(given)
    wait_until(lambda: not pump.is_open)
    assert world.do(pump.reachable) == 10


def test_sink_tells_of_what_it_has_written(world):
    given, taken = make_pipe()
    told = []
    pump = sink(world, taken, written=lambda pump: told.append(pump.offset))
    world.do(world.executor.link.send, 2, b'0123456789')
    world.do(world.executor.flush)
    wait_until(lambda: told == [10])
    assert pump.offset == 10 and os.read(given, 100) == b'0123456789'
    os.close(given)


# ---- what is not ours alone

def test_regular_files_are_read_and_written(world, tmpdir):
    tmpdir.join('in').write_binary(DATA)
    pump = sink(world, os.open(str(tmpdir.join('out')), os.O_WRONLY | os.O_CREAT), False)
    source(world, os.open(str(tmpdir.join('in')), os.O_RDONLY), False)
    wait_until(lambda: not pump.is_open)
    assert tmpdir.join('out').read_binary() == DATA


def test_regular_file_waits_when_nobody_reads(world, tmpdir):
    tmpdir.join('in').write_binary(DATA * 3)
    taken, writing = make_pipe()
    sink(world, writing)
    source(world, os.open(str(tmpdir.join('in')), os.O_RDONLY), False)
    world.rests()
    assert world.executor.sources[2].offset < len(DATA)
    assert read_all(taken) == DATA * 3


def test_dev_null_ends_at_once_and_takes_all(world):
    pump = sink(world, os.open(os.devnull, os.O_WRONLY), False)
    source(world, os.open(os.devnull, os.O_RDWR), False)
    wait_until(lambda: not pump.is_open)


def test_full_disk_is_reported_and_the_channel_is_stopped(world, caplog):
    if not os.path.exists('/dev/full'):
        pytest.skip('needs /dev/full')
    feeding, given = make_pipe()
    source(world, feeding)
    sink(world, os.open('/dev/full', os.O_WRONLY), False)
    with caplog.at_level(logging.WARNING):
        writer = Writer(given, times=1000)
        writer.join(30)
    assert writer.error == errno.EPIPE
    assert ['cannot write what arrives on channel 2: [Errno 28] No space left on device'] == [
        record.getMessage() for record in caplog.records]


@is_linux
def test_pipe_that_others_use_stays_blocking(world):
    feeding, given = make_pipe()
    taken, writing = make_pipe()
    source(world, os.dup(feeding), False)
    sink(world, os.dup(writing), False)
    writer = Writer(given)
    wait_until(lambda: writer.written > 65536)
    assert is_blocking(feeding) and is_blocking(writing)
    os.close(writing)
    assert read_all(taken) == DATA
    os.close(feeding)
    writer.join()


def test_pipe_that_cannot_be_opened_again_is_asked_before_it_is_used(world, monkeypatch):
    monkeypatch.setattr(descriptors, '_reopen', lambda descriptor: None)
    feeding, given = make_pipe()
    taken, writing = make_pipe()
    source(world, os.dup(feeding), False)
    pump = sink(world, os.dup(writing), False)
    assert isinstance(pump._stream, PolledStream)
    writer = Writer(given)
    world.rests()           # the reader does not read: nothing blocks the loop
    assert is_blocking(feeding) and is_blocking(writing)
    os.close(writing)
    assert read_all(taken) == DATA
    os.close(feeding)
    writer.join()


@pytest.mark.parametrize('timeout', [None, 0.5])
def test_socket_that_others_use_stays_blocking(world, timeout):
    socket.setdefaulttimeout(timeout)
    try:
        feeding, given = socket.socketpair()
        taken, writing = socket.socketpair()
        for end in (feeding, given, taken, writing):
            end.settimeout(None)
        source(world, os.dup(feeding.fileno()), False)
        sink(world, os.dup(writing.fileno()), False)
    finally:
        socket.setdefaulttimeout(None)
    writer = Writer(os.dup(given.fileno()))
    given.close()
    world.rests()
    assert is_blocking(feeding.fileno()) and is_blocking(writing.fileno())
    writing.close()
    assert read_all(os.dup(taken.fileno())) == DATA
    taken.close()
    feeding.close()
    writer.join()


@is_linux
def test_terminal_is_read_and_written_and_stays_blocking(world):
    keyboard, terminal = pty.openpty()
    source(world, os.dup(terminal), False)
    taken, writing = make_pipe()
    sink(world, writing)
    os.write(keyboard, b'hello\n')
    assert os.read(taken, 100) == b'hello\n'
    assert is_blocking(terminal)
    os.write(keyboard, b'\x04')             # control-D
    assert read_all(taken) == b''
    world.do(world.program.attach_sink, 3, os.dup(terminal), False)
    world.do(world.executor.link.send, 3, b'shown')
    world.do(world.executor.flush)
    wait_until(lambda: world.program.sinks[3].offset == 5)
    assert is_blocking(terminal)
    shown = b''
    while b'shown' not in shown:            # first comes the echo of what was typed
        shown += os.read(keyboard, 100)
    os.close(keyboard)
    os.close(terminal)


@is_linux
def test_terminal_that_is_hung_up_is_at_its_end():
    keyboard, terminal = pty.openpty()
    stream = open_stream(terminal, False)
    os.close(keyboard)
    assert stream.read(100) == b''
    stream.close()


@is_linux
@pytest.mark.parametrize('is_named', [False, True])
def test_fifo_without_a_reader_is_a_broken_pipe(world, tmpdir, is_named):
    feeding, given = make_pipe()
    taken, writing = make_pipe()
    if is_named:
        os.close(taken)
        os.close(writing)
        os.mkfifo(str(tmpdir.join('fifo')))
        taken = os.open(str(tmpdir.join('fifo')), os.O_RDONLY | os.O_NONBLOCK)
        writing = os.open(str(tmpdir.join('fifo')), os.O_WRONLY)
    os.close(taken)
    pump = sink(world, writing, False)
    assert isinstance(pump._stream, PolledStream) == is_named
    source(world, feeding)
    writer = Writer(given, times=1000)
    writer.join(30)
    assert writer.error == errno.EPIPE


def test_own_pipe_does_not_block():
    ends = os.pipe()
    for end in ends:
        stream = open_stream(end, True)
        assert isinstance(stream, Stream) and not is_blocking(end)
        stream.close()


# ---- the size of pipes

def pipe_size(descriptor):
    return fcntl.fcntl(descriptor, F_GETPIPE_SZ)


@is_linux
def test_pipe_grows_when_much_flows_unless_somebody_has_set_its_size(world):
    given, taken = stream(world)
    fcntl.fcntl(taken, F_SETPIPE_SZ, 8192)
    Writer(given, times=3)
    os.read(taken, 1)
    assert pipe_size(given) == descriptors.PIPE_SIZE
    left = len(DATA) * 2
    while left > 0:
        left -= len(os.read(taken, min(left, 8192)))
    wait_until(lambda: pipe_size(given) == descriptors.GROWN_SIZE)
    assert pipe_size(taken) == 8192
    assert len(read_all(taken)) > 0


@is_linux
def test_pipes_grow_only_up_to_a_number_and_make_room_when_they_close(monkeypatch):
    monkeypatch.setattr(descriptors, '_grown', set())
    monkeypatch.setattr(descriptors, 'MAX_GROWN', 2)
    ends = [end for _ in range(3) for end in os.pipe()]
    streams = [open_stream(end, True) for end in ends[::2]]
    for stream in streams:
        stream.grow()
    assert [pipe_size(end) for end in ends[::2]] == [descriptors.GROWN_SIZE] * 2 + [descriptors.PIPE_SIZE]
    streams[0].close()
    streams[2].grow()
    assert pipe_size(ends[4]) == descriptors.GROWN_SIZE
    for stream in streams[1:]:
        stream.close()
    for end in ends[1::2]:
        os.close(end)
