"""The ``pymesos`` command."""
from __future__ import absolute_import, division, print_function

import argparse
import errno
import logging
import os
import signal
import sys

from . import __version__
from ._compat import Latch
from .cli_run import add_run, split_command
from .errors import MesosError
from .local import LocalCluster

__all__ = ['main']

#: Exit statuses: all went well; it failed; it was called wrongly (argparse's own).
FINE, FAILED = 0, 1

#: Seconds: a signal that comes just before a wait does not interrupt it, and its handler runs behind it.
LOOK = 1.0

LOCAL = """\
Run an embedded Mesos cluster in the foreground: a master and agents that speak the v1 APIs of Mesos 1.11 and run
real commands on this machine. It ends, with everything that it runs, on Ctrl-C."""

HINT = """\
The master is on %(master)s; %(agents)s
Sandboxes are in %(work_dir)s, %(kept)s

  MesosSchedulerDriver(scheduler, framework, '%(master)s')      for a framework
  curl http://%(master)s/state                                  for a look
  Ctrl-C                                                        to end it"""


def main(arguments=None):
    """Run the command with `arguments` (a list; None: the program's own); returns the exit status."""
    parser = _parser()
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:           # for which 2.7's argparse would scold
        parser.print_help()
        return FINE
    arguments, words = split_command(arguments) if arguments[0] == 'run' else (arguments, [])
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:                 # said by the parser of the command, which shows how that is used
        speaker = chosen.parser if arguments[0] == chosen.command else parser
        speaker.error('unrecognized arguments: %s' % ' '.join(unknown))
    chosen.words = words
    logging.basicConfig(level=logging.INFO if chosen.verbose else logging.WARNING,
                        format='%(asctime)s %(levelname)s %(name)s: %(message)s')
    try:
        return chosen.run(chosen)
    except (MesosError, EnvironmentError) as error:
        hint = '; --port 0 takes a free one' if getattr(error, 'errno', None) == errno.EADDRINUSE else ''
        print('pymesos: %s%s' % (error, hint), file=sys.stderr)
        return FAILED


def _parser():
    parser = argparse.ArgumentParser(prog='pymesos', description='Apache Mesos from Python.')
    parser.add_argument('--version', action='version', version='pymesos %s' % __version__)
    parser.set_defaults(verbose=False)
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', dest='command')
    commands.required = True    # as it always is on 2.7
    add_run(commands)
    local = commands.add_parser('local', help='run an embedded cluster in the foreground', description=LOCAL)
    local.set_defaults(run=_local, parser=local)
    local.add_argument('--agents', type=int, default=1, metavar='N', help='how many agents (default: 1)')
    local.add_argument('--resources', metavar='TEXT', action='append',
                       help="of each agent, such as 'cpus:4;mem:4096'; given several times, one for each agent "
                            '(default: what this machine has)')
    local.add_argument('--attributes', metavar='TEXT', action='append',
                       help="of each agent, such as 'rack:a;level:10'; given several times, one for each agent")
    local.add_argument('--roles', metavar='R1,R2', help='the only roles that frameworks may use (default: any)')
    local.add_argument('--host', default='127.0.0.1', help='address to listen on (default: 127.0.0.1); others than '
                                                           'loopback demand --credentials')
    local.add_argument('--port', type=int, default=5050, help='of the master (default: 5050; 0: a free one)')
    local.add_argument('--credentials', metavar='FILE',
                       help="a file with a line 'principal secret' for each who may use the cluster")
    local.add_argument('--work-dir', metavar='DIR', help='for sandboxes and logs, kept (default: a temporary one)')
    local.add_argument('-v', '--verbose', action='store_true', help='log what happens')
    return parser


def _local(chosen):
    cluster = LocalCluster(
        agents=chosen.agents, resources=_one_or_each(chosen.resources), attributes=_one_or_each(chosen.attributes),
        roles=chosen.roles.split(',') if chosen.roles else None, host=chosen.host, port=chosen.port,
        credentials=_read_credentials(chosen.credentials), work_dir=chosen.work_dir)
    ended = Latch()             # an Event has a lock, which the handler might find taken by the wait that it interrupts
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with cluster:
            agents = ', '.join('agent %d on %s' % (agent.number, agent.address) for agent in cluster.agents)
            print(HINT % {'master': cluster.master, 'work_dir': cluster.work_dir,
                          'agents': agents or 'there are no agents',
                          'kept': 'which is kept' if chosen.work_dir else 'which is removed at the end'})
            sys.stdout.flush()
            while not ended.wait(LOOK):
                continue
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print('The embedded cluster has ended.')
    return FINE


def _one_or_each(texts):
    """What is given once is for all agents, what is given several times is for each in turn."""
    return texts[0] if texts and len(texts) == 1 else texts


def _read_credentials(path):
    if path is None:
        return None
    found = {}
    with open(os.path.expanduser(path)) as stream:
        for number, line in enumerate(stream, 1):
            parts = line.split()
            if not parts or parts[0].startswith('#'):
                continue
            if len(parts) != 2:
                raise MesosError("line %d of %s is not 'principal secret'" % (number, path))
            found[parts[0]] = parts[1]
    if not found:
        raise MesosError('%s names no principal' % path)
    return found
