"""What is said about the library beside its code is true."""
from __future__ import absolute_import, division, print_function

import io
import os
import re
import subprocess
import sys

import pymesos

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text_of(*names):
    with io.open(os.path.join(ROOT, *names), encoding='utf-8') as stream:
        return stream.read()


def test_programs_of_the_readme_are_the_examples():
    programs = re.findall('```python\n(.*?)```\n', text_of('README.md'), re.DOTALL)
    assert programs == [text_of('examples', name) for name in ('remote_command.py', 'minimal.py')]


def test_newest_entry_of_the_changelog_is_this_version():
    versions = re.findall(r'^## (.*)$', text_of('CHANGELOG.md'), re.MULTILINE)
    assert versions[0] == pymesos.__version__ == pymesos.__VERSION__


def test_version_is_in_the_range_that_users_pin():
    assert (0, 3, 16) <= tuple(int(number) for number in pymesos.__version__.split('.')) < (0, 4)


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r'\]\(([^)]+)\)', text_of('README.md'))
    assert targets
    missing = [target for target in targets if not os.path.exists(os.path.join(ROOT, target))]
    assert not missing


def test_environment_page_has_every_variable_that_is_read():
    page = text_of('docs', 'environment.rst')
    sources = text_of('pymesos', 'executor.py')
    names = set(re.findall(r"'(MESOS_[A-Z_]+)'", sources))
    assert names
    assert not [name for name in sorted(names) if name not in page]


def test_state_diagram_shows_the_table():
    program = os.path.join(ROOT, 'docs', 'make_state_diagram.py')
    process = subprocess.Popen([sys.executable, program, '--check'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate()
    assert process.returncode == 0, output
