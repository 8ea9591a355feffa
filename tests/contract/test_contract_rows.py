"""Each row of the protocol's tables has a test of the contract, and each test names rows that there are."""
from __future__ import absolute_import, division, print_function

import glob
import importlib
import io
import os
import re

import pytest
import rows
import targets

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get('PYMESOS_SHARED') or os.path.join(os.path.dirname(os.path.dirname(targets.TESTS)), 'shared')


def marked():
    """{row: [names of the tests that are for it]}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(HERE, 'test_contract_*.py'))):
        module = importlib.import_module(os.path.basename(path)[:-len('.py')])
        for name in sorted(vars(module)):
            for mark in getattr(getattr(module, name), 'pytestmark', ()) if name.startswith('test_') else ():
                for row in mark.args if mark.name == 'row' else ():
                    found.setdefault(row, []).append('%s::%s' % (module.__name__, name))
    return found


@pytest.mark.parametrize('row', rows.names())
def test_row_of_the_protocol_has_a_test(row):
    assert marked().get(row)


def test_tests_name_only_rows_that_there_are():
    assert sorted(set(marked()) - set(rows.names())) == []


def sections():
    """{number: [lines]} of PROTOCOL.md."""
    path = os.path.join(SHARED, 'PROTOCOL.md')
    if not os.path.exists(path):
        pytest.fail('there is no %s: put the folder shared/ beside the repository' % path)
    found, current = {}, []
    with io.open(path, encoding='utf-8') as stream:
        for line in stream:
            heading = re.match(r'#+ ([0-9.]+) ', line)
            if heading:
                current = found.setdefault(heading.group(1), [])
            current.append(line.rstrip('\n'))
    return found


@pytest.mark.parametrize('section', sorted(rows.TABLES))
def test_rows_are_those_of_the_table(section):
    lines = [line for line in sections()[section] if line.startswith('|')]
    assert [line.split('|')[1].strip() for line in lines[2:]] == rows.TABLES[section]


@pytest.mark.parametrize('section', sorted(rows.LISTS))
def test_rows_are_those_of_the_list(section):
    lines = sections()[section]
    items = [line[2:] for line in lines if line.startswith('* ')]
    if not items:                       # 8.4 is a paragraph
        text = ' '.join(lines[1:])
        items = [text[text.index(beginning):] for _row, beginning in rows.LISTS[section]]
    beginnings = [beginning for _row, beginning in rows.LISTS[section]]
    assert len(items) == len(beginnings)
    assert [item for item, beginning in zip(items, beginnings) if not item.startswith(beginning)] == []
