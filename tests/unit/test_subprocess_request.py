from __future__ import absolute_import, division, print_function

import os
import pickle

import pytest

from pymesos._compat import NullByteError
from pymesos.errors import UsageError
from pymesos.subprocess.request import NULL, PIPE, TO_STDOUT, Request, command_text, make_spec
from pymesos.subprocess.streams.protocol import unpack_environment
from pymesos.utils import decode_data, encode_data


class Path(object):
    """A path-like object, on every Python."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


def test_start_message_has_every_member():
    spec = make_spec(['a', u'b', b'c'], cwd='/x', env={'A': 'b'})
    assert spec == {
        'type': 'START', 'args': [encode_data(part) for part in (b'a', b'b', b'c')], 'executable': None, 'shell': False,
        'cwd': encode_data(b'/x'), 'cwd_must_exist': True, 'env': encode_data(b'A=b'),
        'env_is_inherited': False, 'stdin': PIPE, 'stdout': PIPE, 'stderr': PIPE, 'umask': None, 'user': None,
        'group': None, 'extra_groups': None, 'start_new_session': False, 'process_group': None,
        'restore_signals': True, 'has_preexec': False}


def test_values_reach_the_start_message():
    spec = make_spec('echo', executable=Path('/bin/sh'), shell=1, stdin=NULL, stdout=NULL, stderr=TO_STDOUT, umask=0o22,
                     user='nobody', group=5, extra_groups=[1, u'staff'], start_new_session=True, process_group=0,
                     restore_signals=False, has_preexec=True)
    assert decode_data(spec['executable']) == b'/bin/sh'
    assert (spec['shell'], spec['umask'], spec['user'], spec['group']) == (True, 0o22, u'nobody', 5)
    assert (spec['extra_groups'], spec['process_group']) == ([1, u'staff'], 0)
    assert (spec['stdin'], spec['stdout'], spec['stderr']) == ('null', 'null', 'stdout')
    assert (spec['start_new_session'], spec['restore_signals'], spec['has_preexec']) == (True, False, True)


def test_default_environment_is_the_programs(monkeypatch):
    monkeypatch.setenv('PYMESOS_TEST_NAME', 'its value')
    spec = make_spec(['a'])
    assert unpack_environment(spec['env'])[b'PYMESOS_TEST_NAME'] == b'its value'
    assert spec['env_is_inherited']
    assert unpack_environment(make_spec(['a'], env={})['env']) == {}


def test_environment_comes_out_as_it_went_in():
    env = {b'EMPTY': b'', b'SIGNS': b'a=b=c\n', b'BYTES': b'\xff\xfe'}
    assert unpack_environment(make_spec(['a'], env=env)['env']) == env


@pytest.mark.parametrize('env', [{'A': 'b\0'}, {'A': '\0', 'C': 'd'}, {'A\0': ''}])
def test_null_bytes_in_the_environment_are_refused(env):
    with pytest.raises(NullByteError):
        make_spec(['a'], env=env)


def test_environment_that_changes_between_two_commands_is_seen(monkeypatch):
    for value in ('one', 'two', 'two'):
        monkeypatch.setenv('PYMESOS_TEST_NAME', value)
        assert unpack_environment(make_spec(['a'])['env'])[b'PYMESOS_TEST_NAME'] == value.encode('ascii')
    monkeypatch.delenv('PYMESOS_TEST_NAME')
    assert b'PYMESOS_TEST_NAME' not in unpack_environment(make_spec(['a'])['env'])


def test_default_folder_is_the_programs_and_need_not_exist(tmpdir, monkeypatch):
    monkeypatch.chdir(tmpdir)
    spec = make_spec(['a'])
    assert decode_data(spec['cwd']) == str(tmpdir).encode()
    assert not spec['cwd_must_exist']


def test_relative_folder_is_relative_to_the_programs(tmpdir, monkeypatch):
    monkeypatch.chdir(tmpdir)
    spec = make_spec(['a'], cwd='below')
    assert decode_data(spec['cwd']) == os.path.join(str(tmpdir), 'below').encode()
    assert spec['cwd_must_exist']


def test_program_whose_folder_is_gone_starts_commands_in_the_sandbox(tmpdir, monkeypatch):
    monkeypatch.chdir(tmpdir.mkdir('gone'))
    os.rmdir(str(tmpdir.join('gone')))
    assert make_spec(['a'])['cwd'] is None
    assert decode_data(make_spec(['a'], cwd='/x')['cwd']) == b'/x'


@pytest.mark.parametrize('args, expected', [
    ('one two', [b'one two']), (b'x', [b'x']), (Path('p'), [b'p']), ([Path(b'p'), 'q'], [b'p', b'q']),
    (('a',), [b'a']), (iter(['a', 'b']), [b'a', b'b'])])
def test_command_lines(args, expected):
    assert [decode_data(arg) for arg in make_spec(args)['args']] == expected


@pytest.mark.parametrize('options, error', [
    (dict(args=['a\0']), NullByteError), (dict(args=['a'], env={'a': 'b\0'}), NullByteError),
    (dict(args=['a'], cwd='\0'), NullByteError), (dict(args=['a'], env={'a=b': 'c'}), ValueError),
    (dict(args=[]), IndexError), (dict(args=[1]), TypeError), (dict(args=7), TypeError),
    (dict(args=Path('p'), shell=True), TypeError), (dict(args=['a'], user=-1), ValueError),
    (dict(args=['a'], user=2 ** 64), OverflowError), (dict(args=['a'], group=2 ** 32 - 1), OverflowError),
    (dict(args=['a'], user=1.5), TypeError), (dict(args=['a'], extra_groups='staff'), TypeError),
    (dict(args=['a'], extra_groups=[-1]), ValueError), (dict(args=['a'], extra_groups=[2 ** 64]), ValueError)])
def test_what_cannot_be_passed_on_is_refused_as_the_standard_library_does(options, error):
    with pytest.raises(error):
        make_spec(**options)


def test_command_is_text_for_people():
    assert command_text(make_spec(['echo', b'\xff', u'h\xe9'.encode('utf-8')])) == u'echo \ufffd h\xe9'


def test_request_leaves_what_is_not_said_to_the_configuration():
    request = Request(gpus=1, name='x')
    assert request._replace(gpus=None, name=None) == (None,) * 13
    assert (request.gpus, request.name) == (1, 'x')


def test_no_processors_and_no_memory_mean_the_configured_ones():
    request = Request(cpus=0, mem=0, gpus=0)
    assert (request.cpus, request.mem, request.gpus) == (None, None, 0)


@pytest.mark.parametrize('wanted, text', [
    (dict(cpus=-1), 'cpus=-1: expected a number of at least 0'),
    (dict(mem='many'), "mem='many': expected a number of at least 0"),
    (dict(mem=float('nan')), 'mem=nan: expected a number of at least 0'),
    (dict(disk=float('inf')), 'disk=inf: expected a number of at least 0'),
    (dict(gpus=0.5), 'gpus=0.5: expected a whole number of at least 0'),
    (dict(max_retries=-1), 'max_retries=-1: expected a whole number of at least 0'),
    (dict(start_timeout=0), 'start_timeout=0: expected a number above 0')])
def test_request_that_makes_no_sense_is_refused(wanted, text):
    with pytest.raises(UsageError) as caught:
        Request(**wanted)
    assert str(caught.value) == text


def test_unknown_request_is_refused():
    with pytest.raises(TypeError):
        Request(cpu=1)


def test_request_pickles():
    request = Request(cpus=1.5, labels={'a': 'b'})
    assert pickle.loads(pickle.dumps(request, 2)) == request


@pytest.mark.parametrize('name, value, expected', [
    ('role', 5, 'text'), ('role', '', 'text'), ('name', 5, 'text'),
    ('labels', 'x', 'a dict of text'), ('labels', ['a'], 'a dict of text'), ('labels', {'a': None}, 'a dict of text'),
])
def test_what_cannot_be_is_refused_at_once(name, value, expected):
    with pytest.raises(UsageError) as caught:
        Request(**{name: value})
    assert str(caught.value) == '%s=%r: expected %s' % (name, value, expected)


def test_what_can_be_is_taken():
    wanted = {'role': u'eng', 'name': 'n', 'labels': {'a': u'b', 'c': 2}}
    request = Request(**wanted)
    assert dict((name, getattr(request, name)) for name in wanted) == wanted
