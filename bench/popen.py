"""Measures pymesos.subprocess side by side with 0.3.15's, with the bare drivers, and with the standard library's.

``python bench/popen.py --old PYTHON --new PYTHON [--new PYTHON] [--rounds N] [--only NAME ...]``; bench/README.md tells
how to make the environments and what the cases mean. Runs on any Python from 3.5 on.
"""
from __future__ import absolute_import, division, print_function

import argparse
import os
import sys

from run import REPOSITORY, Failed, Helper, Library, Table, alternate, median

OURS, STDLIB = 'pymesos.subprocess', 'subprocess'

NAMES = ('latency', 'stdout', 'many', 'local')

#: How often `true` is called in a round, and how many MB are printed: to the old one, a tenth of the speed, fewer.
CALLS, MEGABYTES, OLD_MEGABYTES = 50, 200, 20

#: Commands of one run, and how many of them at a time.
COMMANDS, AT_ONCE = (200, 2000), 32

#: What is asked for: at most so many times the old latency, at least so many times the old stream, and at least so many
#: times the tasks per second of the bare drivers.
LATENCY_WANTED, STDOUT_WANTED, MANY_WANTED = 0.4, 20.0, 0.8


class Side(Library):
    """A Library that is told which master to use."""

    def __init__(self, name, python, path=None):
        super(Side, self).__init__(name, python, path)
        self.master = ''

    def environment(self):
        return dict(super(Side, self).environment(), MESOS_MASTER=self.master)

    def measure(self, what, *numbers, **options):
        arguments = [options.get('module', OURS), what] + [str(number) for number in numbers]
        if options.get('module') == STDLIB:
            return Foreign(self).run(['popen_process.py'] + arguments)
        return self.run(['popen_process.py'] + arguments)


class Foreign(Library):
    """The same interpreter without this checkout: for what is not ours."""

    def __init__(self, side):
        super(Foreign, self).__init__(side.name, side.python)


def rounds_of(sides, rounds, measure):
    """{side's name: [figure]} of so many rounds, in each of which the sides alternate."""
    found = dict((side.name, []) for side in sides)
    for number in range(rounds):
        for side in alternate(number, sides):
            found[side.name].append(measure(side))
    return found


def show_latency(table, old, new, rounds):
    found = rounds_of([old] + new, rounds, lambda side: side.measure('latency', CALLS)['median'])
    first = median(found[old.name])
    for side in new:
        second = median(found[side.name])
        table.judged("call(['true']), warm, %s" % side.name, '%.1f ms' % (first * 1e3), '%.1f ms' % (second * 1e3),
                     '%.2f' % (second / first), '<= %g' % LATENCY_WANTED, second / first <= LATENCY_WANTED)


def show_stdout(table, old, new, rounds):
    found = rounds_of([old] + new, rounds, lambda side: side.measure(
        'stdout', OLD_MEGABYTES if side is old else MEGABYTES)['rate'])
    first = median(found[old.name])
    for side in new:
        second = median(found[side.name])
        table.judged('stdout to a pipe, %s' % side.name, '%.1f MB/s' % first, '%.1f MB/s' % second,
                     '%.1f' % (second / first), '>= %g' % STDOUT_WANTED, second / first >= STDOUT_WANTED)


def in_turns(sides, rounds, measures):
    """What :func:`rounds_of` gives for each of `measures`, which alternate as well: a machine's state changes."""
    found = [dict((side.name, []) for side in sides) for _ in measures]
    for number in range(rounds):
        for place, measure in alternate(number, list(enumerate(measures))):
            for side in alternate(number, sides):
                found[place][side.name].append(measure(side))
    return found


def bare_rate(side, commands, options, *most):
    """Tasks per second of the bare drivers, in batches of AT_ONCE; at most so many under way."""
    arguments = [side.master, commands, AT_ONCE] + list(most)
    return commands / side.run(['mesos_scheduler.py'] + options + [str(one) for one in arguments])['seconds']


def show_many(table, old, new, rounds, commands):
    title = '{:,} commands, {} at a time'.format(commands, AT_ONCE)
    ours, light, free, bound, unsaved, doing = in_turns(new, rounds, (
        # A Popen outlives a restart of its agent, which writes down each task for that: so it does with the bare
        # drivers'.
        lambda side: side.measure('many', commands, AT_ONCE, 1),
        lambda side: side.measure('many', commands, AT_ONCE, 0),
        # As the drivers are used, and with no more tasks under way than there are commands: no queue is as long then.
        lambda side: bare_rate(side, commands, ['--checkpoint']),
        lambda side: bare_rate(side, commands, ['--checkpoint'], AT_ONCE),
        lambda side: bare_rate(side, commands, []),
        lambda side: bare_rate(side, commands, ['--checkpoint', '--true'])))
    for side in new:
        lost = [one for one in ours[side.name] if one['ended'] < commands]
        if lost:
            table.missed.append(title)
            table.row('%s, %s' % (title, side.name), '', 'ended %d' % lost[0]['ended'], '', str(lost[0]['why']), '')
            continue
        first, second = median(free[side.name]), median([one['rate'] for one in ours[side.name]])
        table.judged('%s, %s' % (title, side.name), '%.0f per s' % first, '%.0f per s' % second,
                     '%.2f' % (second / first), '>= %g' % MANY_WANTED, second / first >= MANY_WANTED)
        for words, bare, kind in (('bare tasks that run true, too', doing, ours),
                                  ('bare tasks, %d at a time' % AT_ONCE, bound, ours),
                                  ('bare tasks without checkpoints', unsaved, ours),
                                  ('the same, commands without them too', unsaved, light)):
            first, second = median(bare[side.name]), median([one['rate'] for one in kind[side.name]])
            table.row('    against ' + words, '%.0f per s' % first, '%.0f per s' % second,
                      '%.2f' % (second / first), '', '')
    # Last, as it stalls, and what it leaves is still to be cleared away by the agent.
    result = old.measure('many', commands, AT_ONCE)
    table.row('%s, %s' % (title, old.name), '%.0f per s' % result['rate'],
              'stalled after %d' % result['ended'] if result['is_stalled'] else '', '', '', '')


def show_local(table, new, rounds):
    """What a command costs on the embedded cluster, beside the standard library's; nothing is asked for."""
    for side in new:
        side.master = 'local'
        ours = rounds_of([side], rounds, lambda side: side.measure('latency', CALLS)['median'])[side.name]
        theirs = rounds_of([side], rounds, lambda side: side.measure(
            'latency', CALLS, module=STDLIB)['median'])[side.name]
        first, second = median(theirs), median(ours)
        table.row("call(['true']), embedded, %s" % side.name, '%.1f ms' % (first * 1e3), '%.1f ms' % (second * 1e3),
                  '%.1f' % (second / first), '', '')
        ours = rounds_of([side], rounds, lambda side: side.measure('stdout', MEGABYTES)['rate'])[side.name]
        theirs = rounds_of([side], rounds, lambda side: side.measure(
            'stdout', MEGABYTES, module=STDLIB)['rate'])[side.name]
        first, second = median(theirs), median(ours)
        table.row('stdout to a pipe, embedded, %s' % side.name, '%.0f MB/s' % first, '%.0f MB/s' % second,
                  '%.2f' % (second / first), '', '')


def run_cases(table, names, old, new, rounds):
    with Helper(sys.executable, 'mesos_cluster.py') as master:
        for side in [old] + new:
            side.master = master
        table.row('', 'old', 'new', 'new/old', 'wanted', '')
        if 'latency' in names:
            show_latency(table, old, new, rounds)
        if 'stdout' in names:
            show_stdout(table, old, new, rounds)
        if 'many' in names:
            table.row('', 'bare drivers', 'commands', 'ratio', 'wanted', '')
            for commands in COMMANDS:
                show_many(table, old, new, rounds, commands)
    if 'local' in names:
        table.row('', 'stdlib', 'embedded', 'ratio', '', '')
        show_local(table, new, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--new', required=True, action='append', metavar='PYTHON',
                        help='a Python that has what this library needs; the checkout is used; may be given again')
    parser.add_argument('--old', required=True, metavar='PYTHON', help='a Python 2.7 with pymesos 0.3.15')
    parser.add_argument('--only', action='append', choices=NAMES, metavar='NAME', help='of: ' + ', '.join(NAMES))
    parser.add_argument('--rounds', type=int, default=3, help='how often each side runs (default 3)')
    arguments = parser.parse_args()
    old = Side('0.3.15', arguments.old)
    new = [Side(os.path.basename(os.path.dirname(os.path.dirname(python))), python, REPOSITORY)
           for python in arguments.new]
    table = Table()
    try:
        run_cases(table, arguments.only or NAMES, old, new, arguments.rounds)
    except Failed as error:
        sys.exit('popen.py: %s' % error)
    if table.missed:
        sys.exit('missed: ' + '; '.join(title.strip() for title in table.missed))


if __name__ == '__main__':
    main()
