"""What is attached is served, as Mesos does, and nothing else, whatever a sandbox holds."""
from __future__ import absolute_import, division, print_function

import os
import pwd
import stat
import threading

import pytest

from pymesos._compat import monotonic
from pymesos.local.files import Files, Inaccessible, IsFolder


@pytest.fixture
def sandbox(tmpdir):
    folder = tmpdir.mkdir('work').mkdir('sandbox')
    folder.join('stdout').write_binary(b'hello\xff\n')
    folder.mkdir('d').join('y').write('x')
    tmpdir.join('work', 'secret').write('secret')
    tmpdir.join('work').mkdir('sandbox-2').join('secret').write('secret')
    return folder


@pytest.fixture
def files(sandbox):
    made = Files()
    made.attach(str(sandbox), '/box')
    made.attach(str(sandbox), str(sandbox))
    return made


def names(found):
    return [item['path'].rpartition('/')[2] for item in found]


# ---- listing

def test_a_folder_is_listed_with_what_mesos_tells(files, sandbox):
    sandbox.join('stdout').setmtime(1500000000)
    sandbox.join('stdout').chmod(0o640)
    folder, plain = files.list('/box')
    assert plain == {'path': '/box/stdout', 'nlink': 1, 'size': 7, 'mtime': 1500000000, 'mode': 0o100640,
                     'uid': pwd.getpwuid(os.getuid()).pw_name, 'gid': plain['gid']}
    assert (folder['path'], stat.S_ISDIR(folder['mode'])) == ('/box/d', True)
    assert names(files.list(str(sandbox) + '/')) == ['d', 'stdout']


def test_paths_of_entries_begin_as_they_were_asked_for(files):
    assert [item['path'] for item in files.list('/box//d')] == ['/box//d/y']
    assert [item['path'] for item in files.list('/box/d/../d/')] == ['/box/d/../d/y']
    assert [item['path'] for item in files.list('/box/./d')] == ['/box/./d/y']


def test_a_file_and_a_fifo_have_no_entries(files, sandbox):
    os.mkfifo(str(sandbox.join('fifo')))
    assert files.list('/box/stdout') == []
    assert files.list('/box/fifo') == []


@pytest.mark.parametrize('path', ['', '/', '/nope', 'box', '/boxes', '/box/nope', '/box/nope/x', '/box/stdout/x'])
def test_what_is_not_attached_or_missing_is_not_found(files, path):
    for ask in (files.list, files.read):
        with pytest.raises(LookupError):
            ask(path)


def test_links_are_shown_as_what_they_lead_to_if_that_is_served(files, sandbox):
    sandbox.join('good').mksymlinkto('stdout')
    sandbox.join('away').mksymlinkto('/etc/passwd')
    sandbox.join('broken').mksymlinkto('nothing')
    found = dict((item['path'], item) for item in files.list('/box'))
    assert found['/box/good']['size'] == 7 and stat.S_ISREG(found['/box/good']['mode'])
    assert stat.S_ISLNK(found['/box/away']['mode'])
    assert found['/box/away']['size'] == len('/etc/passwd')
    assert '/box/broken' not in found


def test_names_that_are_no_utf8_can_be_shown(files, sandbox):
    with open(str(sandbox).encode() + b'/\xff\xe9', 'wb'):
        pass
    assert u'\ufffd\ufffd' in names(files.list('/box'))


def test_names_beyond_ascii_can_be_asked_for(files, sandbox):
    name = u'n\xe4m e+%'
    with open(str(sandbox).encode() + b'/' + name.encode('utf-8'), 'wb') as stream:
        stream.write(b'1')
    assert name in names(files.list(u'/box'))
    assert files.read(u'/box/' + name) == (1, b'1')


# ---- reading

@pytest.mark.parametrize('offset, length, expected', [
    (0, None, b'hello\xff\n'), (0, 100, b'hello\xff\n'), (1, 3, b'ell'), (6, None, b'\n'), (7, None, b''),
    (100, 5, b''), (0, 0, b'')])
def test_a_part_of_a_file_is_read(files, offset, length, expected):
    assert files.read('/box/stdout', offset, length) == (7, expected)


def test_a_file_is_read_by_way_of_links_and_dots_inside(files, sandbox):
    sandbox.join('good').mksymlinkto(str(sandbox.join('stdout')))
    sandbox.join('gd').mksymlinkto('d')
    for path in ('/box/good', '/box/gd/../stdout', '/box/d/../stdout', '/box//stdout'):
        assert files.read(path)[0] == 7


def test_a_folder_cannot_be_read(files):
    for path in ('/box', '/box/d/'):
        with pytest.raises(IsFolder) as caught:
            files.read(path)
        assert str(caught.value) == 'Cannot read a directory.'


def test_a_fifo_and_a_device_are_not_read(files, sandbox):
    os.mkfifo(str(sandbox.join('fifo')))
    sandbox.join('null').mksymlinkto('/dev/null')
    for name in ('fifo', 'null'):
        with pytest.raises(Inaccessible):
            files.read('/box/' + name)


def test_a_large_file_is_read_in_pieces_only(files, sandbox):
    with open(str(sandbox.join('huge')), 'wb') as stream:
        stream.truncate(10 ** 10)
    assert files.read('/box/huge', 10 ** 9, 10) == (10 ** 10, b'\0' * 10)
    with pytest.raises(Inaccessible):
        files.read('/box/huge')


# ---- nothing else

@pytest.mark.parametrize('path', ['/..', '/../', '/../secret', '/d/../..', '/d/../../secret', '/../sandbox-2/secret',
                                  '/up', '/up/secret', '/away', '/chain', '/etc/passwd', '/../../../../../etc/passwd',
                                  '/../sandbox-2'])
def test_nothing_outside_is_served(files, sandbox, path):
    sandbox.join('up').mksymlinkto('..')
    sandbox.join('etc').mksymlinkto('/etc')
    sandbox.join('away').mksymlinkto('../secret')
    sandbox.join('chain').mksymlinkto('away')
    for ask in (files.list, files.read):
        with pytest.raises(Inaccessible) as caught:
            ask('/box' + path)
        assert str(caught.value) == "'%s%s' is inaccessible." % (sandbox, path.rstrip('/'))


def test_a_sandbox_that_becomes_a_link_is_served_no_more(files, sandbox):
    sandbox.remove()
    sandbox.mksymlinkto('/etc')
    for path in ('/box', '/box/passwd'):
        with pytest.raises(Inaccessible):
            files.list(path)
        with pytest.raises(Inaccessible):
            files.read(path)


def test_a_file_that_changes_while_it_is_opened_does_not_lead_out(files, sandbox):
    """A folder and a link to the outside take turns under one name; what is read is never from outside."""
    sandbox.mkdir('real').join('secret').write('public')
    place, is_over = str(sandbox.join('turn')), threading.Event()
    targets = [str(sandbox.join('real')), str(sandbox.join('..'))]

    def take_turns():
        number = 0
        while not is_over.is_set():
            number += 1
            os.symlink(targets[number % 2], place + '.new')
            os.rename(place + '.new', place)

    os.symlink(targets[0], place)
    thread = threading.Thread(target=take_turns)
    thread.start()
    seen, refused, begun = 0, 0, monotonic()
    try:
        while monotonic() - begun < (3 if seen and refused else 60):
            try:
                assert files.read('/box/turn/secret') == (6, b'public')
                seen += 1
            except Inaccessible:
                refused += 1
            try:
                assert names(files.list('/box/turn')) == ['secret']
            except Inaccessible:
                refused += 1
    finally:
        is_over.set()
        thread.join()
    assert seen and refused


# ---- attachments

def test_the_longest_virtual_path_wins(files, tmpdir):
    tmpdir.join('log').write('log')
    files.attach(str(tmpdir.join('log')), '/box/d')
    assert files.read('/box/d') == (3, b'log')
    files.detach('/box/d')
    assert names(files.list('/box/d')) == ['y']
    files.detach('/box')
    files.detach('/box')
    with pytest.raises(LookupError):
        files.list('/box')


def test_a_log_can_be_attached_before_it_is_there(files, tmpdir):
    files.attach(str(tmpdir.join('log')), '/master/log')
    with pytest.raises(LookupError):
        files.read('/master/log')
    tmpdir.join('log').write('log')
    assert files.read('/master/log', 1) == (3, b'og')
    assert files.list('/master/log') == []
    with pytest.raises(LookupError):
        files.list('/master')


def test_an_executors_sandbox_has_the_names_that_it_has_in_mesos(tmpdir):
    directory = '%s/slaves/S/frameworks/F/executors/E/runs/C' % tmpdir
    os.makedirs(directory)
    files = Files()
    files.attach_sandbox(directory)
    files.attach_sandbox(str(tmpdir.mkdir('standalone')))
    assert files.attachments() == {
        directory: directory, '%s/slaves/S/frameworks/F/executors/E/runs/latest' % tmpdir: directory,
        '/frameworks/F/executors/E/runs/latest': directory,
        str(tmpdir.join('standalone')): str(tmpdir.join('standalone'))}
    assert files.list('/frameworks/F/executors/E/runs/latest') == []


def test_a_sandbox_that_is_served_no_longer_leaves_a_newer_one_alone(tmpdir):
    runs = '%s/slaves/S/frameworks/F/executors/E/runs/' % tmpdir
    files = Files()
    for name in ('C1', 'C2'):
        os.makedirs(runs + name)
        files.attach_sandbox(runs + name)
    files.detach_sandbox(runs + 'C1')
    assert files.attachments() == dict.fromkeys(
        (runs + 'C2', runs + 'latest', '/frameworks/F/executors/E/runs/latest'), runs + 'C2')
    files.detach_sandbox(runs + 'C2')
    assert files.attachments() == {}


def test_nothing_stays_open(files):
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(10):
        files.list('/box')
        files.read('/box/stdout')
        for path in ('/box/..', '/box/nope', '/box/d'):
            with pytest.raises((LookupError, ValueError)):
                files.read(path)
    assert len(os.listdir('/proc/self/fd')) == before
