"""The fixtures of pymesos.testing.plugin, as a framework's author uses them."""
from __future__ import absolute_import, division, print_function

import io
import os
import re
import subprocess
import sys

from api_client import to

import pymesos

AUTHORS_TEST = '''
import threading

is_over = threading.Event()

def teardown_module():
    is_over.set()

def test_all_fixtures(no_leaks, scripted_master, scripted_agent, fault_proxy):
    proxy = fault_proxy(scripted_master.address)
    assert proxy.target == scripted_master.address
    assert scripted_agent.environment()['MESOS_FRAMEWORK_ID']

def test_leak(no_leaks):
    no_leaks.timeout = 0.1
    threading.Thread(target=is_over.wait, name='forgotten').start()
'''


def test_fixtures_are_started(scripted_master, scripted_agent, fault_proxy):
    first, second = fault_proxy(scripted_master.address), fault_proxy(scripted_master.address)
    for proxy in (first, second):
        with to(proxy) as client:
            assert client.subscribe().status == 200
    assert (scripted_master.connections, first.connections, second.connections) == (2, 1, 1)
    assert scripted_agent.connections == 0


def run_pytest(folder, path):
    """The output of a pytest of its own, on one file or folder."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(pymesos.__file__)))
    environment = dict(os.environ, PYTHONPATH=root, PYTHONDONTWRITEBYTECODE='1')
    process = subprocess.Popen([sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', str(path)],
                               cwd=str(folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return process.communicate()[0].decode('utf-8')


def test_an_author_can_use_the_plugin(tmpdir):
    tmpdir.join('conftest.py').write("pytest_plugins = ['pymesos.testing.plugin']\n")
    tmpdir.join('test_author.py').write(AUTHORS_TEST)
    output = run_pytest(tmpdir, tmpdir)
    assert '2 passed, 1 error' in output
    assert re.search(r"left behind after 0\.1 s:\nE\s+thread 'forgotten'", output)


def test_the_example_of_the_documentation_passes(tmpdir):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples', 'test_one_task.py')
    with io.open(source, encoding='utf-8') as stream:
        tmpdir.join('test_one_task.py').write(stream.read())
    output = run_pytest(tmpdir, tmpdir)
    assert '5 passed' in output, output


def test_random_seed_can_be_given(monkeypatch, request):
    monkeypatch.setenv('PYMESOS_SEED', '42')
    assert request.getfixturevalue('random_seed') == 42
