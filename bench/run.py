"""Measures this library side by side with another pymesos, each in its own interpreter.

``python bench/run.py --new PYTHON --old PYTHON [--only NAME ...] [--rounds N]``; bench/README.md tells how to make
the two environments and what the cases mean. Runs on any Python.
"""
from __future__ import absolute_import, division, print_function

import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(HERE)


class Failed(Exception):
    """A measurement came to nothing; the text says which."""


class Case(object):
    """One thing to measure.

    `load` is what the server sends: kind, events, offers in each. `what` is the mode of driver_process.py, `wanted` the
    ratio old/new of the medians of `figure` that is asked for, or None if it is only shown.
    """

    def __init__(self, name, title, what, load, wanted, figure='seconds', addict=False, rounds=None):
        self.name = name
        self.title = title
        self.what = what
        self.load = load
        self.wanted = wanted
        self.figure = figure
        self.addict = addict
        self.rounds = rounds

    def command(self, script, what, port):
        return [script, what, str(port)] + [str(part) for part in self.load[1:]] + ['addict'] * self.addict


CASES = [
    Case('offers', '400 OFFERS of 50 offers, dict', 'offers', ('offers', 400, 50), 1.5),
    Case('offers-addict', '400 OFFERS of 50 offers, addict', 'offers', ('offers', 400, 50), 6.0, addict=True),
    Case('offers-large', '4 OFFERS of 5,000 offers, dict', 'offers', ('offers', 4, 5000), 4.0),
    Case('updates', '20,000 updates, acknowledged', 'updates', ('updates', 20000, 0), 5.0),
    Case('heartbeats', '200,000 heartbeats', 'heartbeats', ('heartbeats', 200000, 0), 1.0),
    Case('calls', '5,000 calls from a user thread', 'calls', ('none', 5000, 0), 1.0),
    Case('calls-main', '5,000 calls from the main thread', 'calls-main', ('none', 5000, 0), 1.0),
]

#: Name -> case of one size; its memory is compared with that of ten times the work.
MEMORY_CASES = [
    Case('memory-offers', 'OFFERS of 50 offers', 'offers', ('offers', 400, 50), None, 'peak', rounds=1),
    Case('memory-updates', 'updates, acknowledged', 'updates', ('updates', 20000, 0), None, 'peak', rounds=1),
]

#: How much more may be resident at most after ten times the work.
MEMORY_WANTED = 1.25

IDLE = Case('idle', 'idle for 30 s, CPU', 'idle', ('none', 1, 0), None, 'cpu', rounds=1)

#: A driver that does nothing may use this many seconds of CPU in 30 seconds.
IDLE_WANTED = 0.01

#: How much of a loop of json.loads() over the same events `offers` has to reach.
BARE_WANTED = 0.9

MESOS = 'mesos'
MESOS_TASKS, MESOS_BATCH = 2000, 50

#: How often one run of it is tried.
MESOS_TRIES = 4

#: Upper bounds of new/old: seconds and CPU. "Not slower" means within the noise of two runs.
MESOS_SECONDS_WANTED, MESOS_CPU_WANTED = 1.05, 0.7

NAMES = [case.name for case in CASES + MEMORY_CASES] + [IDLE.name, MESOS]


class Library(object):
    """An interpreter and the pymesos that it is to import: the checkout's if `path`, else its own."""

    def __init__(self, name, python, path=None):
        self.name = name
        self.python = python
        self.path = path

    def environment(self):
        environment = dict(os.environ)
        environment.pop('PYTHONPATH', None)
        if self.path is not None:
            environment['PYTHONPATH'] = self.path
        return environment

    def run(self, arguments):
        """What a script of this folder measures: the dict that it prints."""
        command = [self.python, os.path.join(HERE, arguments[0])] + list(arguments[1:])
        process = subprocess.Popen(command, env=self.environment(), stdout=subprocess.PIPE, cwd=HERE)
        output = process.communicate()[0].decode('utf-8')
        if process.returncode != 0:
            raise Failed('%s: %s ended with status %d' % (self.name, ' '.join(arguments), process.returncode))
        result = json.loads(output)
        is_checkout = os.path.realpath(result['file']).startswith(os.path.realpath(REPOSITORY) + os.sep)
        if is_checkout != (self.path is not None):
            raise Failed('%s: measured the wrong library, %s' % (self.name, result['file']))
        self.version = '%s with %s' % (result['version'], result['parsers'])
        return result


class Helper(object):
    """A process that prints one line when it is ready and ends with its standard input."""

    def __init__(self, python, *arguments):
        self._process = subprocess.Popen([python, os.path.join(HERE, arguments[0])] + list(arguments[1:]), cwd=HERE,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        line = self._process.stdout.readline().decode('ascii').strip()
        if not line:
            raise Failed('a helper did not start')
        return line

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0


def serve(case):
    return Helper(sys.executable, 'server.py', *[str(part) for part in case.load])


def alternate(number, runs):
    """The runs of one round, the other way round in every second."""
    return runs if number % 2 == 0 else list(reversed(runs))


def measure(case, old, new, rounds):
    """{'old': results, 'new': results}, and 'bare' for the case that is compared with it."""
    runs = [('old', old, case.what), ('new', new, case.what)]
    if case.name == 'offers':
        runs.append(('bare', new, 'bare'))
    results = dict((name, []) for name, _, _ in runs)
    with serve(case) as port:
        for number in range(case.rounds or rounds):
            for name, library, what in alternate(number, runs):
                results[name].append(library.run(case.command('driver_process.py', what, port)))
    return results


class Table(object):
    """Prints aligned rows, and remembers whether all figures were as wanted."""

    WIDTHS = (44, 12, 12, 9, 18, 9)

    def __init__(self):
        self.missed = []

    def row(self, *cells):
        texts = [cell.ljust(width) if place == 0 else cell.rjust(width)
                 for place, (cell, width) in enumerate(zip(cells, self.WIDTHS))]
        print(' '.join(texts).rstrip())
        sys.stdout.flush()

    def judged(self, title, old, new, ratio, wanted, is_good):
        """A row whose last cell says whether `is_good`; None if nothing is asked for."""
        if is_good is False:
            self.missed.append(title)
        self.row(title, old, new, ratio, wanted, {None: '', True: 'ok', False: 'MISSED'}[is_good])


def show_case(table, case, results):
    old, new = (median(result[case.figure] for result in results[name]) for name in ('old', 'new'))
    pairs = sorted(one[case.figure] / two[case.figure] for one, two in zip(results['old'], results['new']))
    table.judged(case.title, '%.3f s' % old, '%.3f s' % new, '%.2f' % (old / new), '>= %g' % case.wanted,
                 old / new >= case.wanted)
    cpu = [median(result['cpu'] for result in results[name]) for name in ('old', 'new')]
    table.row('    its CPU; rounds %.2f .. %.2f' % (pairs[0], pairs[-1]), '%.3f s' % cpu[0], '%.3f s' % cpu[1],
              '%.2f' % (cpu[0] / cpu[1]), '', '')
    if 'bare' in results:
        bare = median(result['seconds'] for result in results['bare'])
        table.judged('    against a bare json.loads loop', '%.3f s' % bare, '%.3f s' % new, '%.2f' % (bare / new),
                     '>= %g' % BARE_WANTED, bare / new >= BARE_WANTED)


def show_memory(table, case, old, new, rounds):
    """The peak of the resident memory, and how much higher it is after ten times the work."""
    kind, events, offers = case.load
    peaks = {'old': [], 'new': []}
    for count in (events, 10 * events):
        sized = Case(case.name, case.title, case.what, (kind, count, offers), None, case.figure, rounds=case.rounds)
        results = measure(sized, old, new, rounds)
        for side in peaks:
            peaks[side].append(median(result['peak'] for result in results[side]))
        table.row('peak memory, {:,} {}'.format(count, case.title), *[
            '%.1f MB' % (peaks[side][-1] / 1e6) for side in ('old', 'new')] + [''] * 3)
    growths = [peaks[side][1] / float(peaks[side][0]) for side in ('old', 'new')]
    table.judged('    growth', '%.2f' % growths[0], '%.2f' % growths[1], '', 'new <= %g' % MEMORY_WANTED,
                 growths[1] <= MEMORY_WANTED)


def show_idle(table, old, new, rounds):
    results = measure(IDLE, old, new, rounds)
    old_cpu, new_cpu = (median(result['cpu'] for result in results[name]) for name in ('old', 'new'))
    table.judged(IDLE.title, '%.1f ms' % (old_cpu * 1e3), '%.1f ms' % (new_cpu * 1e3), '',
                 'new <= %g ms' % (IDLE_WANTED * 1e3), new_cpu <= IDLE_WANTED)


def run_on_mesos(library, master):
    """One run; tried again if it fails, as it sometimes does for 0.3.15 on an overloaded machine."""
    for left in reversed(range(MESOS_TRIES)):
        try:
            return library.run(['mesos_scheduler.py', master, str(MESOS_TASKS), str(MESOS_BATCH)])
        except Failed as error:
            if not left:
                raise
            print('again: %s' % error)


def show_mesos(table, old, new, rounds):
    results = {'old': [], 'new': []}
    with Helper(new.python, 'mesos_cluster.py') as master:
        for number in range(rounds):
            for name, library in alternate(number, [('old', old), ('new', new)]):
                results[name].append(run_on_mesos(library, master))

    def both(figure):
        return [median(figure(result) for result in results[name]) for name in ('old', 'new')]

    first, second = both(lambda result: result['seconds'])
    table.judged('{:,} tasks on a real Mesos'.format(MESOS_TASKS), '%.2f s' % first, '%.2f s' % second,
                 '%.2f' % (first / second), 'new/old <= %g' % MESOS_SECONDS_WANTED,
                 second / first <= MESOS_SECONDS_WANTED)
    for title, figure in (('scheduler', 'scheduler_cpu'), ('executor', 'executor_cpu')):
        first, second = both(lambda result: result[figure])
        table.row('    CPU of the ' + title, '%.2f s' % first, '%.2f s' % second, '%.2f' % (first / second), '', '')
    first, second = both(lambda result: result['scheduler_cpu'] + result['executor_cpu'])
    table.judged('    CPU of both', '%.2f s' % first, '%.2f s' % second, '%.2f' % (first / second),
                 'new/old <= %g' % MESOS_CPU_WANTED, second / first <= MESOS_CPU_WANTED)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--new', required=True, help='a Python that has what this library needs; the checkout is used')
    parser.add_argument('--old', required=True, help='a Python in which the other pymesos is installed')
    parser.add_argument('--only', action='append', choices=NAMES, metavar='NAME', help='of: ' + ', '.join(NAMES))
    parser.add_argument('--rounds', type=int, default=5, help='how often each side runs (default 5)')
    return parser.parse_args()


def run_cases(table, names, old, new, rounds):
    for case in CASES:
        if case.name in names:
            show_case(table, case, measure(case, old, new, rounds))
    for case in MEMORY_CASES:
        if case.name in names:
            show_memory(table, case, old, new, rounds)
    if IDLE.name in names:
        show_idle(table, old, new, rounds)
    if MESOS in names:
        show_mesos(table, old, new, rounds)


def main():
    arguments = parse_arguments()
    old = Library('old', arguments.old)
    new = Library('new', arguments.new, REPOSITORY)
    table = Table()
    table.row('', 'old', 'new', 'old/new', 'wanted', '')
    try:
        run_cases(table, arguments.only or NAMES, old, new, arguments.rounds)
    except Failed as error:
        sys.exit('run.py: %s' % error)
    for library in (old, new):
        print('%s: pymesos %s' % (library.name, library.version))
    if table.missed:
        sys.exit('missed: ' + '; '.join(title.strip() for title in table.missed))


if __name__ == '__main__':
    main()
