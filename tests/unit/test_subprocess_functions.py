from __future__ import absolute_import, division, print_function

import os
import signal
import subprocess as standard
import sys
import types

import pytest
from subprocess_standin import StandIn

import pymesos
import pymesos.subprocess as subprocess
from pymesos._compat import PY2

NOTHING = [sys.executable, '-c', '']


def python(text):
    return [sys.executable, '-c', text]


@pytest.fixture(autouse=True)
def cluster(monkeypatch):
    """A stand-in as the program's cluster."""
    standin = StandIn()
    monkeypatch.setattr('pymesos.subprocess.popen.default_cluster', lambda: standin)
    return standin


def run_python(code):
    """What `code` prints in a Python of its own."""
    env = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__))))
    return standard.check_output([sys.executable, '-c', code], env=env).decode()


# ---------------------------------------------------------------- the functions


def test_run_gathers_and_tells():
    done = subprocess.run(python('import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write("e");'
                                 'sys.exit(3)'), input=b'abc', capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b'ABC', b'e')
    assert repr(done).startswith('CompletedProcess(args=[')
    assert repr(done).endswith('], returncode=3, stdout=%r, stderr=%r)' % (b'ABC', b'e'))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        done.check_returncode()
    assert (caught.value.returncode, caught.value.stdout, caught.value.stderr) == (3, b'ABC', b'e')


def test_run_without_pipes_has_nothing_to_tell():
    done = subprocess.run(NOTHING, check=True)
    assert repr(done) == 'CompletedProcess(args=%r, returncode=0)' % (NOTHING,)


def test_run_that_is_checked_raises():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        subprocess.run(python('import sys; print("x"); sys.exit(2)'), stdout=subprocess.PIPE, check=True)
    assert (caught.value.cmd, caught.value.returncode) == (python('import sys; print("x"); sys.exit(2)'), 2)
    assert caught.value.output == b'x\n'


def test_run_out_of_time_kills_and_has_what_came(cluster):
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        # Quicker than Python to begin: it has to be there in time.
        subprocess.run(['sh', '-c', 'echo x; exec sleep 60'], timeout=3, stdout=subprocess.PIPE)
    assert caught.value.output == b'x\n'
    assert cluster.launched[0].returncode == -signal.SIGKILL


def test_call_out_of_time_kills(cluster):
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.call(python('import time; time.sleep(60)'), timeout=0.1)
    assert cluster.launched[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize('options, text', [
    (dict(input=b'', stdin=subprocess.PIPE), 'stdin and input arguments may not both be used.'),
    (dict(capture_output=True, stdout=subprocess.PIPE),
     'stdout and stderr arguments may not be used with capture_output.')])
def test_run_refuses_what_contradicts(options, text, cluster):
    with pytest.raises(ValueError) as caught:
        subprocess.run(NOTHING, **options)
    assert str(caught.value) == text
    assert not cluster.launched


def test_check_call():
    assert subprocess.check_call(NOTHING) == 0
    failing = python('import sys; sys.exit(4)')
    for args, options in (((failing,), {}), ((), {'args': failing})):
        with pytest.raises(subprocess.CalledProcessError) as caught:
            subprocess.check_call(*args, **options)
        assert (caught.value.returncode, caught.value.cmd) == (4, failing)


def test_check_output():
    assert subprocess.check_output(python('print("x")')) == b'x\n'
    assert subprocess.check_output(python('print("x")'), text=True) == 'x\n'
    assert subprocess.check_output(python('import sys; print(sys.stdin.read())'), input=None) == b'\n'
    for name in ('stdout', 'check'):
        with pytest.raises(ValueError) as caught:
            subprocess.check_output(NOTHING, **{name: None})
        assert str(caught.value) == '%s argument not allowed, it will be overridden.' % name


def test_output_of_a_shell():
    assert subprocess.getstatusoutput('echo x; echo y >&2; exit 3') == (3, 'x\ny')
    assert subprocess.getoutput('echo x; echo') == 'x\n'
    assert type(subprocess.getoutput('echo x')) is str
    assert subprocess.getstatusoutput('kill -TERM $$')[0] == -signal.SIGTERM


@pytest.mark.parametrize('args', [
    [], [''], ['a b c', 'd', 'e'], ['ab"c', '\\', 'd'], ['ab"c', ' \\', 'd'], ['a\\\\\\b', 'de fg', 'h'],
    ['a\\"b', 'c', 'd'], ['a\\\\b c', 'd', 'e'], ['a\\\\b\\ c', 'd', 'e'], ['ab', ''], ['a\tb'], ['"'], ['\\"\\'],
    ['a \\\\'], ['\\\\" "\\\\']])
def test_command_line_is_quoted_as_the_standard_library_does(args):
    assert subprocess.list2cmdline(args) == standard.list2cmdline(args)


def test_popen_put_into_the_module_is_the_one_that_functions_use(monkeypatch):
    made = []

    class Noting(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            made.append(args)
            subprocess.popen.Popen.__init__(self, *args, **kwargs)

    monkeypatch.setattr(subprocess, 'Popen', Noting)
    subprocess.call(NOTHING)
    subprocess.check_output(NOTHING)
    assert made == [(NOTHING,), (NOTHING,)]


# ---------------------------------------------------------------- the module


def test_everything_of_the_standard_library_is_here():
    names = set(standard.__all__) | {'run', 'CompletedProcess', 'DEVNULL', 'SubprocessError', 'TimeoutExpired',
                                     'getoutput', 'getstatusoutput'}
    assert names <= set(subprocess.__all__)
    for name in names | {'list2cmdline'}:
        assert getattr(subprocess, name) is not None
    for name in ('PIPE', 'STDOUT', 'DEVNULL'):
        assert getattr(subprocess, name) == getattr(standard, name, -3)


def test_no_module_of_the_package_has_the_name_of_something_in_it():
    modules = {name.partition('.')[0] for name in os.listdir(os.path.dirname(subprocess.__file__))}
    assert not modules & (set(subprocess.__all__) | {'list2cmdline'})


def test_nothing_is_imported_before_it_is_asked_for():
    loaded = run_python('import sys, pymesos.subprocess\n'
                        'print([name for name in sys.modules if name.startswith("pymesos.subprocess.")])')
    assert loaded.strip() == '[]'


def test_star_import_gives_all_that_is_public():
    names = run_python('from pymesos.subprocess import *\nprint(" ".join(sorted(dir())))').split()
    assert set(subprocess.__all__) <= set(names)
    assert 'list2cmdline' not in names


def test_names_are_there_by_every_way_of_importing():
    assert run_python('from pymesos.subprocess import Popen, PIPE, STDOUT, call\n'
                      'import pymesos.subprocess as s\n'
                      'from pymesos import subprocess as t\n'
                      'import pymesos.subprocess.popen\n'
                      'assert s is t is pymesos.subprocess and s.Popen is Popen is s.popen.Popen\n'
                      'print(s.run.__name__)').strip() == 'run'


def test_module_shows_what_is_in_it_and_refuses_what_is_not():
    assert set(subprocess.__all__) <= set(dir(subprocess))
    assert isinstance(subprocess, types.ModuleType)
    assert subprocess.__doc__.startswith("The standard library's subprocess, on a cluster")
    with pytest.raises(AttributeError) as caught:
        subprocess.check_nothing
    assert str(caught.value) == "module 'pymesos.subprocess' has no attribute 'check_nothing'"
    with pytest.raises(ImportError):
        from pymesos.subprocess import check_nothing  # noqa: F401


def test_function_that_uses_the_module_can_be_pickled():
    cloudpickle = pytest.importorskip('cloudpickle')
    again = cloudpickle.loads(cloudpickle.dumps(lambda: subprocess, 2))
    assert again() is subprocess


@pytest.mark.skipif(PY2 or not hasattr(types, 'GenericAlias'), reason='annotations of this kind came with 3.9')
def test_classes_can_be_annotated():
    assert isinstance(subprocess.Popen[bytes], types.GenericAlias)
    assert isinstance(subprocess.CompletedProcess[str], types.GenericAlias)


@pytest.mark.skipif(sys.version_info < (3, 10), reason='the warning came with 3.10')
def test_text_without_an_encoding_is_warned_of_when_asked_for():
    code = ('import sys; sys.path.insert(0, %r)\n'
            'import pymesos.subprocess as s\n'
            'from subprocess_standin import StandIn\n'
            'import pymesos.subprocess.popen as p\n'
            'p.default_cluster = StandIn\n'
            's.check_output("echo hello", shell=True, text=True)\n' % os.path.dirname(os.path.abspath(__file__)))
    done = standard.run([sys.executable, '-Xwarn_default_encoding', '-c', code], stderr=standard.PIPE,
                        env=dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(pymesos.__file__))))
    lines = [line for line in done.stderr.splitlines() if b'EncodingWarning' in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(b'<string>:6: EncodingWarning')
