"""What is sent to agents, and how they run it."""
from __future__ import absolute_import, division, print_function

import io
import os
import subprocess
import sys
import zipfile

import pytest

import pymesos
from pymesos.errors import UsageError
from pymesos.subprocess.framework import bundle
from pymesos.subprocess.framework.bundle import Bundle, command_line, installed_command_line, pack


def names(made):
    return zipfile.ZipFile(io.BytesIO(made.data)).namelist()


def shell(line, folder, **env):
    """What a shell with little in its environment makes of a line: (status, output)."""
    process = subprocess.Popen(['/bin/sh', '-c', line], cwd=str(folder), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=dict({'PATH': os.environ['PATH']}, **env))
    output = process.communicate()[0].decode()
    return process.returncode, output


@pytest.fixture
def sandbox(tmpdir):
    """A sandbox, and a bundle in it whose executor says that it runs."""
    made = pack({'pymesos/__init__.py': b'', 'pymesos/subprocess/__init__.py': b'',
                 'pymesos/subprocess/executor.py': b'if __name__ == "__main__":\n    print("runs")\n'})
    tmpdir.join(made.name).write_binary(made.data)
    return tmpdir, made


def test_bundle_has_what_an_executor_needs_and_no_more():
    found = names(bundle.bundle())
    assert {'pymesos/__init__.py', 'pymesos/subprocess/executor.py', 'pymesos/executor.py', 'six.py',
            'h11/__init__.py', 'addict/__init__.py'} <= set(found)
    assert not [name for name in found if name.startswith(('pymesos/local/', 'pymesos/testing/'))]
    assert not [name for name in found if 'tests/' in name or not name.endswith('.py')]


def test_bundle_is_made_once():
    assert bundle.bundle() is bundle.bundle()


def test_equal_files_make_equal_bundles():
    assert pack({'a.py': b'1', 'b.py': b'2'}) == pack({'b.py': b'2', 'a.py': b'1'})
    assert pack({'a.py': b'1'}).digest != pack({'a.py': b'2'}).digest


def test_bundle_alone_is_enough_for_an_executor(tmpdir):
    made = bundle.bundle()
    tmpdir.join(made.name).write_binary(made.data)
    # The interpreter behind a virtual environment, without what is installed for it. There is no agent: it comes as far
    # as to miss that.
    prefix = getattr(sys, 'real_prefix', None) or sys.base_prefix
    behind = os.path.join(prefix, 'bin', 'python%d.%d' % sys.version_info[:2])
    python = behind if os.path.exists(behind) else sys.executable
    status, output = shell(command_line(python, made).replace(' -c ', ' -S -E -c '), tmpdir)
    assert status != 0
    assert 'an executor is started by a Mesos agent' in output


def test_bundle_is_checked_before_it_is_used(sandbox):
    folder, made = sandbox
    assert shell(command_line(sys.executable, made), folder)[0] == 0
    other = pack({'pymesos/__init__.py': b'print("evil")'})
    folder.join(made.name).write_binary(other.data)
    status, output = shell(command_line(sys.executable, made), folder)
    assert status != 0
    assert 'is not what the program has sent' in output
    assert 'evil' not in output


def test_bundle_is_found_in_the_sandbox_wherever_the_shell_starts(sandbox, tmpdir_factory):
    folder, made = sandbox
    elsewhere = tmpdir_factory.mktemp('elsewhere')
    assert shell(command_line(sys.executable, made), elsewhere, MESOS_SANDBOX=str(folder))[0] == 0


def test_files_of_the_sandbox_are_not_imported(sandbox):
    folder, made = sandbox
    folder.join('runpy.py').write('raise SystemExit("the wrong one")')
    status, output = shell(command_line(sys.executable, made), folder)
    assert (status, 'runs' in output) == (0, True)


def test_configured_python_is_the_only_one_tried(sandbox):
    folder, made = sandbox
    status, output = shell(command_line('/no/such/python', made), folder)
    assert (status, output) == (127, 'pymesos: there is no Python here; tried: /no/such/python\n')


def test_python_with_blanks_and_quotes_in_its_name_is_found(sandbox):
    folder, made = sandbox
    folder.join("a 'python'").write('#!/bin/sh\necho found\n')
    folder.join("a 'python'").chmod(0o755)
    assert shell(command_line(str(folder.join("a 'python'")), made), folder) == (0, 'found\n')


def test_without_a_configured_python_that_of_the_program_is_tried_first(sandbox):
    folder, made = sandbox
    assert shell(command_line(None, made), folder)[0] == 0
    line = command_line(None, made)
    assert line.index(sys.executable) < line.index('python%d.%d' % sys.version_info[:2])


def test_python_of_another_major_version_is_not_taken_for_one(sandbox, monkeypatch, tmpdir):
    folder, made = sandbox
    monkeypatch.setattr(sys, 'executable', '')
    programs = tmpdir.mkdir('bin')
    programs.join('python').write('#!/bin/sh\n[ "$1" = -c ] && exit 1\n')
    programs.join('python').chmod(0o755)
    status, output = shell(command_line(None, made), folder, PATH=str(programs))
    assert status == 127
    assert output.startswith('pymesos: there is no Python here; tried: python%d.%d' % sys.version_info[:2])


def test_installed_executor_is_run_as_a_module():
    line = installed_command_line(None)
    assert 'pymesos.subprocess.executor' in line and ' -m ' not in line        # which would import from the sandbox


def test_library_that_cannot_be_read_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(bundle, '_made', [])
    monkeypatch.setattr(bundle, '_find', lambda name: None)
    with pytest.raises(UsageError) as caught:
        bundle.bundle()
    assert str(caught.value) == ('cannot send the executor to agents: the files of six are not where they could be '
                                 'read; see use_installed_executor')


def test_own_files_that_are_not_there_are_an_error_that_says_what_to_do(monkeypatch, tmpdir):
    monkeypatch.setattr(bundle, '_made', [])
    monkeypatch.setattr(bundle.errors, '__file__', str(tmpdir.join('pymesos.zip', 'pymesos', 'errors.py')))
    with pytest.raises(UsageError) as caught:
        bundle.bundle()
    assert 'pymesos itself is not in files' in str(caught.value)


def test_name_is_made_of_the_digest():
    made = bundle.bundle()
    assert isinstance(made, Bundle)
    assert made.name == 'pymesos-%s.zip' % made.digest[:16]
    assert os.path.dirname(pymesos.__file__)
