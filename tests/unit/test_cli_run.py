"""What the options of pymesos run mean."""
from __future__ import absolute_import, division, print_function

import resource

import pytest

from pymesos import cli_run
from pymesos.cli import main


@pytest.mark.parametrize('text, ours, command', [
    ('run hostname', 'run', 'hostname'),
    ('run -- hostname', 'run', 'hostname'),
    ('run -n 4 -- hostname', 'run -n 4', 'hostname'),
    ('run -n 4 hostname -n 5', 'run -n 4', 'hostname -n 5'),
    ('run -n4 -k hostname', 'run -n4 -k', 'hostname'),
    ('run -kn 4 ls --tag', 'run -kn 4', 'ls --tag'),
    ('run -kn4 ls', 'run -kn4', 'ls'),
    ('run --cpus=2 ls -- x', 'run --cpus=2', 'ls -- x'),
    ('run --mem 64 --tag git checkout -- file', 'run --mem 64 --tag', 'git checkout -- file'),
    ('run --const rack:r1 -- ls', 'run --const rack:r1', 'ls'),
    ('run --each', 'run --each', ''),
    ('run --each -- {}', 'run --each', '{}'),
    ('run - x', 'run', '- x'),
    ('run', 'run', ''),
    ('run -n', 'run -n', ''),
])
def test_command_begins_where_a_reader_would_say(text, ours, command):
    found, words = cli_run.split_command(text.split())
    assert (' '.join(found), ' '.join(words)) == (ours, command)


@pytest.mark.parametrize('text, why', [
    ('run -n 0 -- true', "argument -n/--copies: expected a whole number from 1 on, not '0'"),
    ('run -n x -- true', "argument -n/--copies: expected a whole number from 1 on, not 'x'"),
    ('run -n -- true', 'argument -n/--copies: expected one argument'),
    ('run --timeout 0 -- true', "argument --timeout: expected seconds, more than 0, not '0'"),
    ('run --timeout nan -- true', "argument --timeout: expected seconds, more than 0, not 'nan'"),
    ('run --env =x -- true', "argument --env: expected NAME=VALUE, not '=x'"),
    ('run --env X -- true', "argument --env: expected NAME=VALUE, not 'X'"),
    ('run --frobnicate -- true', 'unrecognized arguments: --frobnicate'),
])
def test_option_that_cannot_be_is_told(text, why, capsys):
    with pytest.raises(SystemExit) as caught:
        main(text.split())
    assert caught.value.code == 2
    errors = capsys.readouterr()[1]
    assert why in errors and errors.startswith('usage: pymesos run')


@pytest.mark.parametrize('text, why', [
    ('run', 'pymesos: there is no command to run: pymesos run [OPTION ...] [--] COMMAND [ARGUMENT ...]\n'),
    ('run --tag --', 'pymesos: there is no command to run: pymesos run [OPTION ...] [--] COMMAND [ARGUMENT ...]\n'),
    ('run --each -n 2', 'pymesos: -n and --each exclude each other\n'),
    ('run --cpus -2 -- true', 'pymesos: cpus=-2.0: expected a number of at least 0\n'),
    ('run --cpus 0.0001 -- true', 'pymesos: a command wants at least 0.001 cpus\n'),
    ('run --constraint rack -- true', "pymesos: cannot use the constraints 'rack': "),
    ('run --mem -1 -- true', 'pymesos: mem=-1.0: expected a number of at least 0\n'),
    ('run --port 99999 -- true', 'pymesos: port=99999: expected a whole number from 0 to 65535\n'),
])
def test_options_that_make_no_sense_are_told_in_one_line(text, why, capsys):
    assert main(text.split()) == 2
    found = capsys.readouterr()[1]
    assert found.startswith(why) and len(found.splitlines()) == 1


class Limits(object):
    """Stands for the limits of the process."""

    RLIMIT_NOFILE, RLIM_INFINITY = resource.RLIMIT_NOFILE, resource.RLIM_INFINITY

    def __init__(self, soft, hard):
        self.limits = (soft, hard)

    def getrlimit(self, _which):
        return self.limits

    def setrlimit(self, _which, limits):
        self.limits = limits


class Chosen(object):
    def __init__(self, each=False, jobs=None, copies=None):
        self.each, self.jobs, self.copies = each, jobs, copies


@pytest.mark.parametrize('chosen, limits, wanted, after', [
    (Chosen(), (1024, 4096), 1, 1024),
    (Chosen(copies=20), (1024, 4096), 20, 1024),
    (Chosen(copies=100), (1024, 4096), 100, 1300),
    (Chosen(copies=1000), (1024, 4096), 333, 4096),
    (Chosen(copies=1000), (1024, Limits.RLIM_INFINITY), 1000, 12100),
    (Chosen(copies=1000), (Limits.RLIM_INFINITY, Limits.RLIM_INFINITY), 1000, Limits.RLIM_INFINITY),
    (Chosen(copies=1000, jobs=5), (1024, 4096), 5, 1024),
    (Chosen(each=True), (1024, 4096), 64, 1024),
    (Chosen(each=True, jobs=10), (256, 256), 10, 256),
    (Chosen(each=True), (64, 64), 1, 64),
])
def test_so_many_run_at_once_as_there_are_descriptors_for(chosen, limits, wanted, after, monkeypatch):
    stand_in = Limits(*limits)
    monkeypatch.setattr(cli_run, 'resource', stand_in)
    assert cli_run._at_once(chosen) == wanted
    assert stand_in.limits == (after, limits[1])
