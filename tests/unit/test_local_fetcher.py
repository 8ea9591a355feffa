"""URIs are fetched and unpacked into a sandbox, and whatever an archive holds, nothing lands outside it."""
from __future__ import absolute_import, division, print_function

import gzip
import io
import os
import stat
import subprocess
import tarfile
import threading
import zipfile

import pytest
from six.moves.BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer

from pymesos.local import archives, fetcher
from pymesos.local.fetcher import FetchError, fetch
from pymesos.local.sandbox import Escape, Folder


@pytest.fixture
def sandbox(tmpdir):
    return tmpdir.mkdir('world').mkdir('sandbox')


@pytest.fixture
def untouched(tmpdir, sandbox):
    """Nothing but the sandbox has changed; `outside` is a file that an attacker would like to change."""
    outside = tmpdir.join('world', 'outside')
    outside.write('kept')
    before = os.getcwd()
    yield outside
    assert outside.read() == 'kept'
    assert sorted(entry.basename for entry in tmpdir.join('world').listdir()) == ['outside', 'sandbox']
    assert os.getcwd() == before


def get(sandbox, value, log=None, **uri):
    options = {'max_bytes': uri.pop('max_bytes')} if 'max_bytes' in uri else {}
    fetch([dict(uri, value=str(value))], str(sandbox), (lambda text: None) if log is None else log.append, **options)


def tree(sandbox):
    """All relative paths below."""
    return sorted(os.path.relpath(os.path.join(folder, name), str(sandbox))
                  for folder, folders, names in os.walk(str(sandbox)) for name in folders + names)


def make_tar(path, entries, mode='w:gz'):
    """Write a tar; each entry is a name and bytes, or a name and attributes of its TarInfo."""
    with tarfile.open(str(path), mode) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1500000000
            data = b''
            if isinstance(content, bytes):
                data = content
            else:
                data = content.pop('data', b'')
                for key, value in content.items():
                    setattr(info, key, value)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_zip(path, entries):
    with zipfile.ZipFile(str(path), 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


# ---- what a URI can be

@pytest.mark.parametrize('prefix', ['', 'file://', 'file://localhost'])
def test_a_file_is_copied_with_its_mode(tmpdir, sandbox, untouched, prefix):
    source = tmpdir.join('a file')
    source.write_binary(b'\0data\xff')
    source.chmod(0o751)
    log = []
    get(sandbox, prefix + str(source), log)
    assert sandbox.join('a file').read_binary() == b'\0data\xff'
    assert sandbox.join('a file').stat().mode & 0o7777 == 0o751
    assert log == ["Fetching URI '%s%s' to 'a file'" % (prefix, source)]


def test_an_executable_is_made_one_and_not_unpacked(tmpdir, sandbox, untouched):
    get(sandbox, make_tar(tmpdir.join('x.tar.gz'), [('a', b'1')]), executable=True)
    assert tree(sandbox) == ['x.tar.gz']
    assert sandbox.join('x.tar.gz').stat().mode & 0o111 == 0o111


def test_an_output_file_may_be_deep(tmpdir, sandbox, untouched):
    tmpdir.join('x').write('1')
    get(sandbox, tmpdir.join('x'), output_file='a/b/c')
    assert sandbox.join('a', 'b', 'c').read() == '1'


def test_what_is_there_is_replaced(tmpdir, sandbox, untouched):
    tmpdir.join('x').write('new')
    sandbox.join('x').mksymlinkto(untouched)
    sandbox.join('y').mksymlinkto(sandbox)
    get(sandbox, tmpdir.join('x'))
    assert sandbox.join('x').read() == 'new'
    assert not sandbox.join('x').islink()


@pytest.mark.parametrize('name', ['../outside', 'a/../../outside', '/tmp/outside', '..', '.', 'a/', 'up/outside'])
def test_an_output_file_cannot_be_outside(tmpdir, sandbox, untouched, name):
    tmpdir.join('x').write('evil')
    sandbox.join('up').mksymlinkto(sandbox.join('..'))
    with pytest.raises(FetchError) as caught:
        get(sandbox, tmpdir.join('x'), output_file=name)
    assert str(caught.value).startswith("Failed to fetch '%s': '" % tmpdir.join('x'))


@pytest.mark.parametrize('value, why', [
    ('/none/such', 'No such file or directory'),
    ('relative/path', 'A relative path was passed for the resource but the Mesos framework home was not specified. '
                      'Please either provide this config option or avoid using a relative path'),
    ('', "'' is no name of a file"),
    ('/', "'' is no name of a file"),
    ('http://host', 'Malformed URI (missing path): http://host'),
    ('http://host/', 'Malformed URI (missing path): http://host/'),
    ('ftp://host/x', 'only paths, file://, http:// and https:// can be fetched here'),
    ('hdfs://host/x', 'only paths, file://, http:// and https:// can be fetched here'),
    ("http://host/it's", 'Illegal characters in URI'),
    ('/tmp/..', "'..' contains '..'"),
    ('/dev/null', 'it is no plain file'),
    ('/usr', 'it is no plain file'),
])
def test_what_cannot_be_fetched_is_named(sandbox, untouched, value, why):
    with pytest.raises(FetchError) as caught:
        get(sandbox, value)
    assert str(caught.value) == "Failed to fetch '%s': %s" % (value, why)


def test_a_fifo_does_not_hold_us_up(tmpdir, sandbox, untouched):
    os.mkfifo(str(tmpdir.join('fifo')))
    with pytest.raises(FetchError):
        get(sandbox, tmpdir.join('fifo'))


# ---- http

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        body = b'x' * 300000
        if self.path.startswith('/missing'):
            self.send_error(404)
            return
        if self.path.startswith('/moved'):
            self.send_response(302)
            self.send_header('Location', {'/moved': '/file', '/moved-to-file': 'file:///etc/passwd',
                                          '/moved-to-ftp': 'ftp://127.0.0.1/x'}[self.path])
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        self.send_response(200)
        if self.path.startswith('/endless'):
            self.send_header('Connection', 'close')
            self.end_headers()
            try:
                while True:
                    self.wfile.write(body)
            except (IOError, OSError):
                self.close_connection = True
            return
        length = len(body) + (1 if self.path.startswith('/short') else 0)
        self.send_header('Content-Length', '%d' % length)
        self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = HTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield 'http://127.0.0.1:%d' % made.server_address[1]
    made.shutdown()
    thread.join()
    made.server_close()


def test_http_is_fetched_without_a_proxy_on_this_machine(server, sandbox, untouched, monkeypatch):
    monkeypatch.setenv('http_proxy', 'http://127.0.0.1:1')
    get(sandbox, server + '/file?query=1')
    # As in Mesos, the query belongs to the name.
    assert tree(sandbox) == ['file?query=1']
    assert sandbox.join('file?query=1').size() == 300000
    get(sandbox, server + '/moved', output_file='there')
    assert sandbox.join('there').size() == 300000


@pytest.mark.parametrize('path, why', [
    ('/missing', 'the server answered 404'),
    ('/short', 'the connection broke after 300000 of 300001 bytes'),
    ('/moved-to-file', None), ('/moved-to-ftp', None)])
def test_http_errors_are_told(server, sandbox, untouched, path, why):
    with pytest.raises(FetchError) as caught:
        get(sandbox, server + path)
    if why is not None:
        assert str(caught.value) == "Failed to fetch '%s%s': %s" % (server, path, why)


def test_an_endless_answer_is_cut_off(server, sandbox, untouched):
    with pytest.raises(FetchError) as caught:
        get(sandbox, server + '/endless', max_bytes=1000000)
    assert str(caught.value) == "Failed to fetch '%s/endless': more than 1000000 bytes" % server


# ---- archives

@pytest.mark.parametrize('name, mode', [('x.tar', 'w'), ('x.tar.gz', 'w:gz'), ('x.tgz', 'w:gz'),
                                        ('x.tar.bz2', 'w:bz2'), ('x.tbz2', 'w:bz2')])
def test_a_tar_is_unpacked_beside_itself(tmpdir, sandbox, untouched, name, mode):
    entries = [('./d', {'type': tarfile.DIRTYPE, 'mode': 0o700}), ('./d/f', b'hello'), ('deep/er/g', b'x' * 300000),
               ('run', {'data': b'#!', 'mode': 0o755}), ('ln', {'type': tarfile.SYMTYPE, 'linkname': 'd/f'}),
               ('deep/up', {'type': tarfile.SYMTYPE, 'linkname': '../d'}),
               ('hard', {'type': tarfile.LNKTYPE, 'linkname': 'd/f'})]
    log = []
    get(sandbox, make_tar(tmpdir.join(name), entries, mode), log)
    assert tree(sandbox) == ['d', 'd/f', 'deep', 'deep/er', 'deep/er/g', 'deep/up', 'hard', 'ln', 'run', name]
    assert sandbox.join('d', 'f').read() == 'hello'
    assert sandbox.join('deep', 'er', 'g').size() == 300000
    assert sandbox.join('run').stat().mode & 0o7777 == 0o755
    assert sandbox.join('d', 'f').stat().mtime == 1500000000
    assert sandbox.join('ln').readlink() == 'd/f'
    assert sandbox.join('hard').read() == 'hello'
    assert sandbox.join('hard').stat().nlink == 1
    assert log[1] == "Extracted '%s' into the sandbox" % name


@pytest.mark.parametrize('name', ['x.tar.xz', 'x.txz'])
@pytest.mark.parametrize('has_lzma', [True, False])
def test_xz_is_unpacked_with_and_without_the_module(tmpdir, sandbox, untouched, monkeypatch, name, has_lzma):
    if not has_lzma:
        monkeypatch.setattr(archives, 'lzma', None)
    make_tar(tmpdir.join('x.tar'), [('f', b'hello' * 100000)], 'w')
    tmpdir.join(name).write_binary(subprocess.check_output(['xz', '-c', str(tmpdir.join('x.tar'))]))
    get(sandbox, tmpdir.join(name))
    assert sandbox.join('f').read() == 'hello' * 100000
    tmpdir.join(name).write_binary(b'no xz')
    with pytest.raises(FetchError):
        get(sandbox, tmpdir.join(name))


def test_a_gz_is_unpacked(tmpdir, sandbox, untouched):
    with gzip.open(str(tmpdir.join('f.txt.gz')), 'wb') as stream:
        stream.write(b'hello')
    get(sandbox, tmpdir.join('f.txt.gz'))
    assert tree(sandbox) == ['f.txt', 'f.txt.gz']
    assert sandbox.join('f.txt').read() == 'hello'


def test_a_zip_is_unpacked(tmpdir, sandbox, untouched):
    get(sandbox, make_zip(tmpdir.join('x.zip'), [
        ('d/', b'', stat.S_IFDIR | 0o755), ('d/f', b'hello', stat.S_IFREG | 0o4755),
        ('plain', b'1', stat.S_IFREG | 0o640),
        ('ln', b'd/f', stat.S_IFLNK | 0o777)]))
    assert tree(sandbox) == ['d', 'd/f', 'ln', 'plain', 'x.zip']
    assert sandbox.join('d', 'f').stat().mode & 0o7777 == 0o755
    assert sandbox.join('plain').stat().mode & 0o7777 == 0o640
    assert sandbox.join('ln').readlink() == 'd/f'


def test_an_archive_stays_as_it_is_if_it_is_not_to_be_unpacked(tmpdir, sandbox, untouched):
    get(sandbox, make_tar(tmpdir.join('x.tgz'), [('a', b'1')]), extract=False)
    get(sandbox, make_tar(tmpdir.join('y.tgz'), [('a', b'1')]), output_file='plain')
    assert tree(sandbox) == ['plain', 'x.tgz']


def link(target):
    return {'type': tarfile.SYMTYPE, 'linkname': target}


ATTACKS = {
    'parent': [('../outside', b'evil')],
    'parent within': [('a/../../outside', b'evil')],
    'absolute': [('/tmp/pymesos-evil', b'evil')],
    'absolute link': [('ln', link('/etc'))],
    'link up': [('ln', link('..'))],
    'link up from below': [('a/ln', link('../../outside'))],
    'link by way of a link': [('a/b/c', b'1'), ('s', link('a/b')), ('ln', link('s/../../../outside'))],
    'link through a link that is inside': [('a/b/x', b'1'), ('t', link('a/b')), ('t2', link('t/../../..'))],
    'write through a link': [('ln', link('.')), ('ln/x', b'evil')],
    'write through a link that was there': [('up/outside', b'evil')],
    'folder through a link': [('up/folder', {'type': tarfile.DIRTYPE})],
    'hard link to outside': [('ln', {'type': tarfile.LNKTYPE, 'linkname': '../outside'})],
    'hard link to an absolute path': [('ln', {'type': tarfile.LNKTYPE, 'linkname': '/etc/passwd'})],
    'hard link to a link': [('ln', {'type': tarfile.LNKTYPE, 'linkname': 'away'})],
    'hard link through a link': [('ln', {'type': tarfile.LNKTYPE, 'linkname': 'up/outside'})],
    'device': [('null', {'type': tarfile.CHRTYPE, 'devmajor': 1, 'devminor': 3})],
    'block device': [('disk', {'type': tarfile.BLKTYPE, 'devmajor': 8, 'devminor': 0})],
    'fifo': [('fifo', {'type': tarfile.FIFOTYPE})],
    'the folder itself': [('.', b'evil')],
}


@pytest.mark.parametrize('attack', sorted(ATTACKS))
def test_a_crafted_tar_is_refused(tmpdir, sandbox, untouched, attack):
    sandbox.join('up').mksymlinkto(sandbox.join('..'))
    sandbox.join('away').mksymlinkto(untouched)
    make_tar(tmpdir.join('x.tar'), [(name, dict(content) if isinstance(content, dict) else content)
                                    for name, content in ATTACKS[attack]], 'w')
    with pytest.raises(FetchError) as caught:
        get(sandbox, tmpdir.join('x.tar'))
    assert str(caught.value).startswith("Failed to fetch '%s': " % tmpdir.join('x.tar'))
    assert not os.path.exists('/tmp/pymesos-evil')


@pytest.mark.parametrize('name, data, mode', [
    ('../outside', b'evil', 0), ('a/../../outside', b'evil', 0), ('/tmp/pymesos-evil', b'evil', 0),
    ('up/outside', b'evil', 0), ('ln', b'/etc', stat.S_IFLNK), ('ln', b'../outside', stat.S_IFLNK),
    ('fifo', b'', stat.S_IFIFO), ('null', b'', stat.S_IFCHR), ('..', b'evil', 0), ('../', b'', 0)])
def test_a_crafted_zip_is_refused(tmpdir, sandbox, untouched, name, data, mode):
    sandbox.join('up').mksymlinkto(sandbox.join('..'))
    make_zip(tmpdir.join('x.zip'), [('good', b'1', 0), (name, data, mode)])
    with pytest.raises(FetchError):
        get(sandbox, tmpdir.join('x.zip'))
    assert not os.path.exists('/tmp/pymesos-evil')


def test_set_uid_bits_are_dropped(tmpdir, sandbox, untouched):
    get(sandbox, make_tar(tmpdir.join('x.tar'), [('su', {'data': b'1', 'mode': 0o6755}),
                                                 ('none', {'data': b'1', 'mode': 0})], 'w'))
    assert sandbox.join('su').stat().mode & 0o7777 == 0o755
    assert sandbox.join('none').stat().mode & 0o7777 == 0o600


@pytest.mark.parametrize('name', ['x.tar.gz', 'x.zip', 'x.gz'])
def test_a_bomb_is_cut_off(tmpdir, sandbox, untouched, name):
    zeros = b'\0' * 20000000
    if name == 'x.zip':
        make_zip(tmpdir.join(name), [('zeros', zeros, 0)])
    elif name == 'x.gz':
        with gzip.open(str(tmpdir.join(name)), 'wb') as stream:
            stream.write(zeros)
    else:
        make_tar(tmpdir.join(name), [('zeros', zeros)])
    assert tmpdir.join(name).size() < 100000
    with pytest.raises(FetchError) as caught:
        get(sandbox, tmpdir.join(name), max_bytes=1000000)
    assert str(caught.value).endswith(': more than 1000000 bytes')
    assert sum(entry.size() for entry in sandbox.visit()) <= 1000000


def test_an_archive_with_too_many_entries_is_cut_off(tmpdir, sandbox, untouched, monkeypatch):
    monkeypatch.setattr(archives, 'MAX_ENTRIES', 10)
    for name, make in (('x.tar', lambda path, names: make_tar(path, [(one, b'') for one in names], 'w')),
                       ('x.zip', lambda path, names: make_zip(path, [(one, b'', 0) for one in names]))):
        with pytest.raises(FetchError) as caught:
            get(sandbox, make(tmpdir.join(name), ['f%d' % number for number in range(20)]))
        assert str(caught.value).endswith('it has more than 10 entries')


@pytest.mark.parametrize('name', ['x.tar', 'x.tar.gz', 'x.tar.bz2', 'x.zip', 'x.gz', 'x.tar.xz'])
@pytest.mark.parametrize('data', [b'', b'garbage' * 1000, b'PK\3\4' + b'\0' * 100, b'\x1f\x8b\x08' + b'\0' * 100])
def test_a_damaged_archive_is_an_error(tmpdir, sandbox, untouched, name, data):
    tmpdir.join(name).write_binary(data)
    if data == b'' and name == 'x.gz':      # which is no error for gzip
        return
    with pytest.raises(FetchError) as caught:
        get(sandbox, tmpdir.join(name))
    assert str(caught.value).startswith("Failed to fetch '%s': " % tmpdir.join(name))


def test_an_archive_that_is_cut_is_an_error(tmpdir, sandbox, untouched):
    data = make_tar(tmpdir.join('x.tar.gz'), [('f', os.urandom(100000))]).read_binary()
    tmpdir.join('x.tar.gz').write_binary(data[:50000])
    with pytest.raises(FetchError):
        get(sandbox, tmpdir.join('x.tar.gz'))


def test_names_that_are_no_utf8_are_kept(tmpdir, sandbox, untouched):
    name = b'\xff\xe9'
    plain = tarfile.TarInfo('x' * len(name))
    path = tmpdir.join('x.tar')
    with tarfile.open(str(path), 'w', format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(plain)
    data = path.read_binary()
    head = bytearray(data[:512].replace(b'xx', name, 1))
    head[148:156] = b' ' * 8
    head[148:156] = ('%06o\0 ' % sum(head)).encode()
    path.write_binary(bytes(head) + data[512:])
    get(sandbox, path)
    assert name in os.listdir(str(sandbox).encode())


def test_a_folder_goes_back_to_where_we_were(tmpdir, sandbox):
    before = os.getcwd()
    folder = Folder(str(sandbox), 100)
    folder.write('a/b', [b'1'])
    with pytest.raises(Escape):
        folder.read('a')
    folder.close()
    assert os.getcwd() == before


def test_the_limit_holds_for_all_uris_together(tmpdir, sandbox, untouched):
    tmpdir.join('x').write('x' * 600)
    with pytest.raises(FetchError):
        fetch([{'value': str(tmpdir.join('x'))}, {'value': str(tmpdir.join('x')), 'output_file': 'y'}], str(sandbox),
              lambda text: None, 1000)
    assert fetcher.MAX_BYTES > 1024 ** 3
