"""One measurement of ``pymesos.subprocess``, or of the standard library's, in the Python that runs it.

``popen_process.py MODULE WHAT NUMBER [AT_ONCE [CHECKPOINT]]`` with MODULE ``pymesos.subprocess`` or ``subprocess``
prints one line of JSON. WHAT is ``latency``: the median and the 95th percentile, in seconds, of NUMBER calls of
``true`` after a few that warm up; ``stdout``: MB per second of NUMBER MB that a command prints to a pipe; ``many``:
NUMBER commands, AT_ONCE at a time, each waited for by a thread of its own; without checkpoints if CHECKPOINT is 0.
The master is MESOS_MASTER's. When no command has ended for a minute, ``many`` says so and how many have.
"""
from __future__ import absolute_import, division, print_function

import importlib
import json
import logging
import os
import sys
import threading
import time

import clock

WARM_UP = 5
CHUNK = 1 << 20

#: Seconds without the end of a command after which all are given up.
STALLED = 60.0

#: What a command takes of the agent: so little that 32 and the executor fit on one of 4 cpus.
NEEDS = {'cpus': 0.1, 'mem': 32}


class Measurement(object):
    """The module that is measured, and how its commands are started."""

    def __init__(self, name):
        self.module = importlib.import_module(name)
        self.needs = NEEDS if name.startswith('pymesos') else {}

    def latency(self, calls):
        times = []
        for number in range(WARM_UP + calls):
            begun = clock.seconds()
            if self.module.call(['true'], **self.needs) != 0:
                raise RuntimeError('true failed')
            times.append(clock.seconds() - begun)
        times = sorted(times[WARM_UP:])
        return {'median': times[len(times) // 2], 'slow': times[len(times) * 95 // 100]}

    def stdout(self, megabytes):
        self.module.call(['true'], **self.needs)
        wanted = megabytes * 1000000
        process = self.module.Popen(['head', '-c', str(wanted), '/dev/zero'], stdout=self.module.PIPE, **self.needs)
        begun = clock.seconds()
        # From the descriptor: on 2.7 a file's read(n) waits for all n.
        descriptor, count = process.stdout.fileno(), 0
        while True:
            data = os.read(descriptor, CHUNK)
            if not data:
                break
            count += len(data)
        # The old one closes the pipe at the end by itself, and only then.
        if count != wanted or process.wait() != 0:
            raise RuntimeError('%d of %d bytes, status %r' % (count, wanted, process.returncode))
        return {'rate': megabytes / (clock.seconds() - begun)}

    def many(self, commands, at_once, checkpoint=1):
        if not checkpoint:
            self.module.configure(checkpoint=False)
        self.module.call(['true'], **self.needs)
        left = list(range(commands))
        ended, failed = [], []

        def work():
            while True:
                try:
                    left.pop()
                except IndexError:
                    return
                try:
                    status = self.module.call(['true'], **self.needs)
                except Exception as error:      # a measurement reports it and goes on
                    status = repr(error)
                (failed if status else ended).append(status)

        begun = clock.seconds()
        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for thread in threads:
            thread.daemon = True
            thread.start()
        last, since = 0, clock.seconds()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.02)        # not join(): with a timeout 2.7's polls, and that is load, too
            if len(ended) + len(failed) > last:
                last, since = len(ended) + len(failed), clock.seconds()
            if clock.seconds() - since > STALLED:
                break
        return {'ended': len(ended), 'failed': len(failed), 'why': str(failed[0]) if failed else None,
                'is_stalled': len(ended) + len(failed) < commands, 'rate': len(ended) / (since - begun)}


def main():
    logging.disable(logging.INFO)       # 0.3.15 writes what it does to stderr
    name, what = sys.argv[1:3]
    measurement = Measurement(name)
    found = getattr(measurement, what)(*[int(text) for text in sys.argv[3:]])
    module = sys.modules[name.partition('.')[0]]
    found.update({'version': getattr(module, '__VERSION__', ''), 'file': module.__file__,
                  'parsers': clock.parsers() if module.__name__ == 'pymesos' else ''})
    print(json.dumps(found))
    sys.stdout.flush()
    if found.get('is_stalled'):
        os._exit(0)             # the threads that hang would keep the process


if __name__ == '__main__':
    main()
