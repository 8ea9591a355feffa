"""What commands of pymesos.subprocess leave: in this process, in executors, on the machine, at the master."""
from __future__ import absolute_import, division, print_function

import gc
import json
import os
import platform
import threading
from collections import namedtuple

from six.moves.urllib.request import urlopen

from pymesos.subprocess.framework.keeper import Job
from pymesos.subprocess.framework.remote import Remote
from pymesos.subprocess.popen import Popen
from pymesos.subprocess.streams.session import Session
from pymesos.testing import wait_until

#: Of these nothing is left once no command runs and the program has let its Popens go.
PASSING = (Job, Popen, Remote, Session)

#: PyPy's dicts keep, for a while, what was taken out of them, and its compiler keeps more memory the longer it runs.
IS_EXACT = platform.python_implementation() == 'CPython'

#: Seconds that what is left of a command has to go: a connection lingers for ten.
TIMEOUT = 60.0

Holdings = namedtuple('Holdings', 'descriptors threads children kilobytes')


def holdings(pid):
    """The :class:`Holdings` of a process: descriptors, threads, children (zombies too) and memory in kB."""
    root = '/proc/%d/' % pid
    memory = [line for line in _read(root + 'status').splitlines() if line.startswith('VmRSS')][0]
    return Holdings(len(os.listdir(root + 'fd')), len(os.listdir(root + 'task')), len(children_of(pid)),
                    int(memory.split()[1]))


def await_rest(pid, before, wobble=0):
    """Wait until a process has no more descriptors, threads and children than it had `before`, and hardly more memory.

    `wobble` is how many kB more it may have. Returns its :class:`Holdings`.
    """
    def is_at_rest():
        now = holdings(pid)
        has_grown = IS_EXACT and now.kilobytes > before.kilobytes + wobble
        return not has_grown and all(left <= right for left, right in zip(now[:3], before[:3])) and now

    return wait_until(is_at_rest, TIMEOUT, lambda: 'process %d to rest: it has %s, had %s, may have %d kB more\n%s' % (
        pid, holdings(pid), before, wobble, descriptors_of(pid)))


def await_nothing_passing():
    """Wait until this process has no object of a command."""
    def passing():
        gc.collect()
        found = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, PASSING)]
        return dict((name, found.count(name)) for name in set(found))

    wait_until(lambda: not (IS_EXACT and passing()), TIMEOUT, lambda: 'these to go: %s' % passing())


def executors_of(framework_id):
    """The pids of the executors of a framework (text)."""
    wanted = 'MESOS_FRAMEWORK_ID=%s' % framework_id
    return [pid for pid in pids() if 'pymesos-' in command_line(pid) and '-c' in command_line(pid)
            and wanted in _read('/proc/%d/environ' % pid).split('\0')]


def processes_with(token):
    """The command lines, by pid, of the processes that have a text in theirs, and of this process's no child."""
    return dict((pid, command_line(pid)) for pid in pids() if token in command_line(pid) and pid != os.getpid())


def await_none_with(token, timeout=TIMEOUT):
    """Wait until no process has a text in its command line."""
    wait_until(lambda: not processes_with(token), timeout, lambda: 'these to end: %s' % processes_with(token))


def await_idle_master(address, framework_id, timeout=TIMEOUT):
    """Wait until a master has no task of a framework any more: all have ended, and all updates are acknowledged."""
    def tasks():
        stream = urlopen('http://%s/state' % address, timeout=TIMEOUT)
        try:
            state = json.loads(stream.read().decode('utf-8'))
        finally:
            stream.close()
        return [(task['id'], task['state']) for framework in state['frameworks'] if framework['id'] == framework_id
                for task in framework['tasks']]

    wait_until(lambda: not tasks(), timeout, lambda: 'the end of %s' % tasks())


def pids():
    """Of all processes."""
    return [int(name) for name in os.listdir('/proc') if name.isdigit()]


def children_of(pid):
    """The pids of the children of a process, zombies included."""
    return [child for child in pids()
            if _read('/proc/%d/stat' % child).rpartition(')')[2].split()[1:2] == [str(pid)]]


def command_line(pid):
    """The command line of a process, its arguments apart by spaces; empty for a zombie."""
    return _read('/proc/%d/cmdline' % pid).replace('\0', ' ')


def descriptors_of(pid):
    """What the descriptors of a process are, for people."""
    found = []
    for name in sorted(os.listdir('/proc/%d/fd' % pid), key=int):
        try:
            found.append('%s: %s' % (name, os.readlink('/proc/%d/fd/%s' % (pid, name))))
        except OSError:                 # closed since
            continue
    return '\n'.join(found)


def in_threads(count, work):
    """Call ``work(number)`` in `count` threads at once; what each returned, or the exception that it raised."""
    found = [None] * count

    def carry_out(number):
        try:
            found[number] = work(number)
        except Exception as error:      # told to the test
            found[number] = error

    threads = [threading.Thread(target=carry_out, args=(number,), name='worker %d' % number) for number in range(count)]
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1.0)            # 2.7 cannot be interrupted in a longer one
    return found


def _read(path):
    try:
        with open(path, 'rb') as stream:
            return stream.read().decode('utf-8', 'replace')
    except (IOError, OSError):          # gone since, or not ours to see
        return ''
