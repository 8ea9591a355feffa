"""The progress bar of pymesos run."""
from __future__ import absolute_import, division, print_function

import pytest

from pymesos.subprocess.cli.progress import Bar, NoBar


class Terminal(object):
    encoding = 'ascii'

    def __init__(self):
        self.written = []

    def write(self, text):
        self.written.append(str(text))

    def getvalue(self):
        return ''.join(self.written)

    def flush(self):
        pass

    def isatty(self):
        return True


def test_bar_shows_how_it_stands_and_leaves_nothing_behind():
    terminal = Terminal()
    bar = Bar(terminal, 4)
    assert terminal.getvalue() == ''
    bar.show(1, 2, 0)
    assert ' 25%|' in terminal.getvalue() and '| 1/4 [' in terminal.getvalue()
    assert ', 2 running]' in terminal.getvalue()
    bar.show(2, 2, 1)
    assert ', 2 running, 1 failed]' in terminal.getvalue()
    bar.close()
    assert '\n' not in terminal.getvalue()
    assert terminal.getvalue().split('\r')[-2].strip() == '' and terminal.getvalue().endswith('\r')


def test_bar_without_a_total_counts():
    terminal = Terminal()
    bar = Bar(terminal, None)
    bar.show(7, 3, 0)
    assert '7 ended [' in terminal.getvalue() and ', 3 running]' in terminal.getvalue()
    bar.close()


def test_hidden_bar_is_wiped_out_once_and_comes_back():
    terminal = Terminal()
    bar = Bar(terminal, 4)
    bar.show(1, 2, 0)
    bar.hide()
    wiped = terminal.getvalue()
    assert wiped.endswith('\r') and wiped.split('\r')[-2].strip() == ''
    bar.hide()
    assert terminal.getvalue() == wiped
    bar.show(2, 2, 0)
    assert '2/4' in terminal.getvalue()[len(wiped):]
    bar.close()


@pytest.mark.parametrize('method, arguments', [('hide', ()), ('show', (1, 2, 3)), ('close', ())])
def test_where_there_is_no_terminal_there_is_nothing_to_see(method, arguments):
    assert getattr(NoBar(), method)(*arguments) is None
    assert NoBar.interval is None
