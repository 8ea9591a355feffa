"""``pymesos run``: its options, and what they mean to :mod:`pymesos.subprocess`."""
from __future__ import absolute_import, division, print_function

import argparse
import logging
import os
import resource
import sys

from .errors import UsageError
from .subprocess.cli.outcomes import USAGE

__all__ = ['add_run', 'split_command']

ABOUT = """\
Run a command on the cluster: -n copies of it, or with --each one for each line of the standard input, which takes the
place of {} in the command, or is its last argument, or, without a command, is one for the shell. Every copy finds its
number, from 0, in PYMESOS_RANK, and how many there are in PYMESOS_SIZE. Without a master it runs on an embedded
cluster, on this machine. A single copy has the streams of this program; of several, the output is put together line by
line, and each gets all of the standard input, unless that is a terminal. The first copy that fails ends the others,
unless there is -k. Ctrl-C ends all; a second one does not wait for it."""

STATUSES = """\
exit status: the highest of all copies: their own, 128 + n for a death by signal n, 124 after --timeout, 125 for what
Mesos refused or lost, 126 for what cannot be executed, 127 for what is not found; 130 after Ctrl-C, 1 when pymesos
itself fails, 2 for wrong options"""

#: How many commands of --each run at the same time, unless --jobs says otherwise.
EACH_AT_ONCE = 64

#: Descriptors that one copy may need, and those that the rest of the program does.
COPY_DESCRIPTORS, OTHER_DESCRIPTORS = 12, 100


def _count(text):
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError('expected a whole number from 1 on, not %r' % text)
    return int(text)


def _seconds(text):
    try:
        if 0 < float(text) < float('inf'):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError('expected seconds, more than 0, not %r' % text)


def _variable(text):
    name, is_given, value = text.partition('=')
    if not name or not is_given:
        raise argparse.ArgumentTypeError('expected NAME=VALUE, not %r' % text)
    return name, value


#: Options without a value: names, help.
FLAGS = (
    (('--each',), 'one for each line of the standard input'),
    (('-k', '--keep-going'), 'let the others go on when one fails'),
    (('--tag',), 'begin each line of output with the number of its copy: [0]'),
    (('-q', '--quiet'), 'no progress bar, and no word about the embedded cluster'),
    (('-v', '--verbose'), 'log what happens; no progress bar'),
)

#: Options with a value: names, what is shown for it, what makes it of the text, whether it may be given again, help.
VALUES = (
    (('-n', '--copies'), 'N', _count, False, 'how many copies (default: 1)'),
    (('-j', '--jobs'), 'N', _count, False, 'so many at the same time, at most (default: all, as far as the cluster has '
                                           'room; with --each %d)' % EACH_AT_ONCE),
    (('--master',), 'ADDRESS', str, False, 'host:port, zk://..., or local (default: MESOS_MASTER)'),
    (('--cpus',), 'N', float, False, 'processors of each (default: 1)'),
    (('--mem',), 'MIB', float, False, 'memory of each (default: 1024)'),
    (('--gpus',), 'N', int, False, 'GPUs of each (default: 0)'),
    (('--disk',), 'MIB', float, False, 'disk of each (default: 0)'),
    (('--constraint',), 'NAME:VALUE', str, True, 'an attribute that agents must have, such as rack:r1'),
    (('--role',), 'ROLE', str, False, 'whose resources to use (default: *)'),
    (('--image',), 'IMAGE', str, False, 'the container image to run it in'),
    (('--uri',), 'URI', str, True, 'what Mesos fetches into the sandbox before'),
    (('--name',), 'NAME', str, False, 'of the tasks (default: the command)'),
    (('--env',), 'NAME=VALUE', _variable, True, 'a variable, besides the environment of this program'),
    (('--cwd',), 'DIR', str, False, 'the folder on the agent (default: this one where it exists, else the sandbox)'),
    (('--timeout',), 'SECONDS', _seconds, False, 'kill a copy that takes longer'),
    (('--start-timeout',), 'SECONDS', _seconds, False, 'give up a copy that has not begun by then'),
    (('--max-retries',), 'N', int, False, 'tries for a copy that was lost before it began (default: 3)'),
    (('--python',), 'PATH', str, False, 'the Python that runs the executor on the agents'),
    (('--host',), 'ADDRESS', str, False, 'of this machine, for the agents to connect to (default: 127.0.0.1)'),
    (('--port',), 'PORT', int, False, 'of this machine, for the same (default: a free one)'),
)

#: The options that the cluster is made with, and those that each command is.
OF_CLUSTER = ('role', 'python', 'host', 'port')
OF_COMMAND = (('cpus', 'cpus'), ('mem', 'mem'), ('gpus', 'gpus'), ('disk', 'disk'), ('image', 'image'),
              ('constraints', 'constraint'), ('uris', 'uri'), ('name', 'name'), ('max_retries', 'max_retries'),
              ('start_timeout', 'start_timeout'))


def add_run(commands):
    """Add ``run`` to the commands of an argument parser."""
    parser = commands.add_parser('run', help='run a command on the cluster', description=ABOUT, epilog=STATUSES,
                                 usage='pymesos run [OPTION ...] [--] COMMAND [ARGUMENT ...]')
    parser.set_defaults(run=_run, parser=parser)
    for names, text in FLAGS:
        parser.add_argument(*names, action='store_true', help=text)
    for names, metavar, kind, is_list, text in VALUES:
        parser.add_argument(*names, metavar=metavar, type=kind, action='append' if is_list else 'store',
                            help=text + '; may be given again' if is_list else text)


def split_command(arguments):
    """(what is for us, the command): that begins after --, or at the first word that is no option nor its value.

    argparse would look for our options in the command's, too.
    """
    values = [name for names, _, _, _, _ in VALUES for name in names]
    place = 1
    while place < len(arguments):
        word = arguments[place]
        if word == '--':
            return arguments[:place], arguments[place + 1:]
        if not word.startswith('-') or word == '-':
            return arguments[:place], arguments[place:]
        if word.startswith('--'):           # also the beginning of one, which argparse takes
            has_value = '=' not in word and any(name.startswith(word) for name in values)
        else:                               # -n 4 and -kn 4, but not -n4
            has_value = '-' + word[-1] in values and not any('-' + letter in values for letter in word[1:-1])
        place += 2 if has_value else 1
    return arguments, []


def _run(chosen):
    # With all that it takes, which `pymesos local` does not need.
    from .subprocess.cli.progress import Bar, NoBar
    from .subprocess.cli.runner import Plan, Runner
    from .subprocess.cluster import Cluster
    from .subprocess.framework.infos import make_resources
    from .subprocess.framework.placement import parse_constraints
    from .subprocess.popen import Popen
    from .subprocess.request import Request

    _fill_gaps()
    wanted = dict((name, getattr(chosen, option)) for name, option in OF_COMMAND)
    try:
        _check_choice(chosen)
        request = Request(**wanted)
        parse_constraints(request.constraints)
        cluster = Cluster(chosen.master, **dict((name, getattr(chosen, name)) for name in OF_CLUSTER
                                                if getattr(chosen, name) is not None))
        make_resources(request, cluster.settings)
    except UsageError as error:
        _say(str(error))
        return USAGE
    if cluster.settings.is_assumed and not chosen.quiet:
        _say('no master is given (--master or MESOS_MASTER), so it runs on this machine')
    copies = None if chosen.each else chosen.copies or 1
    plan = Plan(chosen.words, copies, _at_once(chosen), chosen.tag, chosen.keep_going, chosen.timeout,
                dict(os.environ, **dict(chosen.env or ())), dict(wanted, cwd=chosen.cwd, cluster=cluster))
    has_bar = sys.stderr is not None and sys.stderr.isatty() and not (plan.is_alone or chosen.quiet or chosen.verbose)
    bar = Bar(sys.stderr, copies) if has_bar else NoBar()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_MakeRoom(bar))
    return Runner(plan, Popen, cluster.close, bar=bar, say=_say).run()


def _fill_gaps():
    """Open the standard descriptors that are closed, lest others get their numbers; using them stays an error."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except EnvironmentError:
            os.open(os.devnull, os.O_RDONLY if descriptor else os.O_WRONLY)


def _check_choice(chosen):
    if chosen.each and chosen.copies:
        raise UsageError('-n and --each exclude each other')
    if not chosen.each and not chosen.words:
        raise UsageError('there is no command to run: pymesos run [OPTION ...] [--] COMMAND [ARGUMENT ...]')


def _at_once(chosen):
    """How many copies may run at the same time, as far as there are descriptors; more of these are asked for."""
    wanted = chosen.jobs or (EACH_AT_ONCE if chosen.each else sys.maxsize)
    if not chosen.each:
        wanted = min(wanted, chosen.copies or 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OTHER_DESCRIPTORS + wanted * COPY_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return wanted
    if hard != resource.RLIM_INFINITY:
        needed = max(soft, min(needed, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return max(1, min(wanted, (needed - OTHER_DESCRIPTORS) // COPY_DESCRIPTORS))


class _MakeRoom(logging.Filter):
    """Hides the progress bar before a line of the log."""

    def __init__(self, bar):
        super(_MakeRoom, self).__init__()
        self._bar = bar

    def filter(self, record):
        self._bar.hide()
        return True


def _say(text):
    """A line for people, on stderr; nobody has to be there to read it."""
    try:
        if sys.stderr is not None:
            sys.stderr.write('pymesos: %s\n' % text)
            sys.stderr.flush()
    except EnvironmentError:
        pass
