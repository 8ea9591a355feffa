"""What the embedded cluster must not be brought to: requests, calls and archives of somebody who means it harm."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import tarfile
import time
from base64 import urlsafe_b64encode

import pytest

from local_server import Serving, call, request
from pymesos.local import archives, convert, strictjson
from pymesos.local.files import Files
from pymesos.local.frames import MAX_FRAME, pack
from pymesos.local.model.checks import NEVER, Checker
from pymesos.local.model.effects import Reply
from pymesos.local.model.shapes import without_secrets
from pymesos.local.sandbox import Folder
from pymesos.serving.requests import RequestParser

#: Seconds for what takes a moment if it is done in one go, and hours if it takes quadratic time.
SOON = 30.0

STATE = Reply(200, {'secret': 'of the cluster'})


def status(answer):
    return int(answer.split(b' ', 2)[1])


# ---- pages of other sites

@pytest.mark.parametrize('host', [
    'evil.example', 'evil.example:5050', '127.0.0.1.evil.example', 'localhost.evil.example', 'x', '[::1].evil.example',
    'evil.example:127.0.0.1'])
@pytest.mark.parametrize('path', ['/api/v1', '/api/v1/scheduler', '/state', '/version', '/files/debug'])
def test_name_that_was_made_to_lead_here_is_not_served(host, path):
    with Serving() as serving:
        serving.model.replies['/state'] = STATE
        asked = call(path, b'{"type":"GET_HEALTH"}').replace(b'Host: localhost', b'Host: ' + host.encode())
        answer = serving.ask(asked)
        assert status(answer) == 403
        assert b'secret' not in answer and serving.model.calls == []


@pytest.mark.parametrize('host', ['127.0.0.1:5050', 'localhost:5050', 'LOCALHOST', '[::1]:5050', '10.1.2.3:80'])
def test_address_and_localhost_are_served(host):
    with Serving() as serving:
        serving.model.replies['/state'] = STATE
        answer = serving.ask(request('GET', '/state').replace(b'Host: localhost', b'Host: ' + host.encode()))
        assert status(answer) == 200


def test_any_name_is_served_to_who_shows_a_secret():
    with Serving(credentials={'ada': 'sesam'}, authenticate_readonly=True) as serving:
        serving.model.replies['/state'] = STATE
        asked = request('GET', '/state', [('Authorization', 'Basic YWRhOnNlc2Ft')])
        assert status(serving.ask(asked.replace(b'Host: localhost', b'Host: mesos.example'))) == 200


@pytest.mark.parametrize('headers', [
    [('Origin', 'http://evil.example')], [('Origin', 'null')], [('Origin', 'http://localhost:8000')],
    [('Sec-Fetch-Site', 'cross-site'), ('Sec-Fetch-Mode', 'no-cors')], [('Sec-Fetch-Site', 'same-site')]])
@pytest.mark.parametrize('credentials', [None, {'ada': 'sesam'}])
def test_page_of_another_site_can_do_and_read_nothing(headers, credentials):
    with Serving(credentials=credentials) as serving:
        serving.model.replies['/state'] = serving.model.replies['/teardown'] = STATE
        headers = headers + [('Authorization', 'Basic YWRhOnNlc2Ft')]
        for asked in (request('GET', '/state?jsonp=read', headers), call('/api/v1', b'{"type":"GET_HEALTH"}', headers),
                      request('POST', '/teardown', headers, b'frameworkId=f')):
            answer = serving.ask(asked)
            assert status(answer) == 403 and b'secret' not in answer
        assert serving.model.calls == []


def test_text_is_no_call():
    with Serving() as serving:
        for kind in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/json;x'):
            asked = request('POST', '/api/v1/scheduler', [('Content-Type', kind)], b'{"type":"REVIVE"}')
            assert status(serving.ask(asked)) == 415
        assert serving.model.calls == []


def test_page_that_somebody_opens_by_hand_is_served():
    headers = [('Sec-Fetch-Site', 'cross-site'), ('Sec-Fetch-Mode', 'navigate')]
    with Serving() as serving:
        serving.model.replies['/state'] = STATE
        assert status(serving.ask(request('GET', '/state', headers))) == 200
        same = [('Origin', 'http://localhost'), ('Sec-Fetch-Site', 'same-origin')]
        assert status(serving.ask(call('/api/v1', b'{"type":"GET_HEALTH"}', same))) == 202


# ---- tokens

def encoded(value):
    return urlsafe_b64encode(json.dumps(value).encode('ascii')).rstrip(b'=').decode('ascii')


@pytest.mark.parametrize('algorithm', [u'x\r\nX-Evil: 1', u'\u20ac', u'"', u'\\', 5, None, [u'\n']])
def test_challenge_holds_nothing_of_the_token_that_could_leave_it(algorithm):
    token = '%s.%s.x' % (encoded({'alg': algorithm}), encoded({}))
    with Serving('agent', authenticate_executors=True) as serving:
        answer = serving.ask(call('/api/v1/executor', b'{}', [('Authorization', 'Bearer ' + token)]))
    assert status(answer) == 401
    challenge = [line for line in answer.split(b'\r\n') if line.startswith(b'WWW-Authenticate: ')][0]
    assert challenge.count(b'"') == 6 and b'\nX-Evil' not in answer


OWN, OTHER = {'value': 'own'}, {'value': 'other'}


@pytest.mark.parametrize('wanted, is_allowed', [
    ({'type': 'GET_HEALTH'}, True), ({'type': 'GET_STATE'}, False), ({'type': 'GET_CONTAINERS'}, False),
    ({'type': 'GET_FLAGS'}, False), ({'type': 'LIST_FILES', 'list_files': {'path': '/logs'}}, False),
    ({'type': 'READ_FILE', 'read_file': {'path': '/logs/stderr', 'offset': 0}}, False),
    ({'type': 'WAIT_CONTAINER', 'wait_container': {'container_id': OWN}}, True),
    ({'type': 'WAIT_CONTAINER', 'wait_container': {'container_id': OTHER}}, False),
    ({'type': 'KILL_NESTED_CONTAINER', 'kill_nested_container': {
        'container_id': {'value': 'own', 'parent': OTHER}}}, False),
    ({'type': 'LAUNCH_NESTED_CONTAINER', 'launch_nested_container': {
        'container_id': {'value': 'x', 'parent': {'value': 'y', 'parent': OWN}}, 'command': {}}}, True),
    ({'type': 'LAUNCH_CONTAINER', 'launch_container': {'container_id': {'value': 'x'}, 'command': {}}}, False)])
def test_token_of_an_executor_is_good_for_its_own_containers(wanted, is_allowed):
    settings = {'authenticate_executors': True, 'authenticate_readwrite': True, 'credentials': {'ada': 'sesam'}}
    with Serving('agent', **settings) as serving:
        token = serving.access.executor_token({'fid': 'f', 'eid': 'e', 'cid': 'own'})
        headers = [('Authorization', 'Bearer ' + token)]
        answer = serving.ask(call('/api/v1', json.dumps(wanted).encode('ascii'), headers))
        assert status(answer) == (202 if is_allowed else 403)
        assert bool(serving.model.calls) == is_allowed
        assert b'stderr' not in answer


def test_token_of_an_executor_attaches_to_nothing_else():
    settings = {'authenticate_executors': True, 'authenticate_readwrite': True, 'credentials': {'ada': 'sesam'}}
    with Serving('agent', **settings) as serving:
        token = serving.access.executor_token({'fid': 'f', 'eid': 'e', 'cid': 'own'})
        record = json.dumps({'type': 'ATTACH_CONTAINER_INPUT', 'attach_container_input': {
            'type': 'CONTAINER_ID', 'container_id': OTHER}}).encode('ascii')
        record = b'%d\n%s' % (len(record), record)
        answer = serving.ask(request('POST', '/api/v1', [
            ('Content-Type', 'application/recordio'), ('Message-Content-Type', 'application/json'),
            ('Accept', 'application/json'), ('Authorization', 'Bearer ' + token)], record))
        assert status(answer) == 403
        assert serving.model.calls == []


# ---- what takes too long, or too much

@pytest.mark.parametrize('body', [
    b'[' * 201 + b'\\"' * 500000, b'[' * 201 + b'"' * 500001, b'{"type":' + b'1' * 1000000 + b'}',
    b'{"type":-' + b'0' * 1000000 + b'}', b'[' * 1000000, b'{"a":' * 300000, b'{"a":[' + b'1,' * 1000000 + b'x]}',
    b'{"a":"' + b'\\n' * 1000000 + b'\\q"}', b'{"a":"' + b'\\ud800' * 300000 + b'"}', b'"' + b'\\' * 1000001],
    ids=lambda body: '%s, %d' % (body[:9].decode('ascii'), len(body)))
def test_body_is_refused_in_no_time(body):
    start = time.time()
    with pytest.raises(convert.ConvertError):
        convert.parse('master.Call', body)
    assert time.time() - start < SOON


@pytest.mark.parametrize('text, value', [
    ('9223372036854775807', 2 ** 63 - 1), ('-9223372036854775808', -2 ** 63), ('9223372036854775808', 2.0 ** 63),
    ('0' * 5000 + '7', 7), ('-' + '0' * 5000 + '7', -7), ('1' * 30, float('1' * 30)), ('-0', 0)])
def test_numbers_are_read_however_long(text, value):
    assert strictjson.parse(text) == value
    assert convert._loads(('{"a":%s}' % text).encode('ascii')) == {'a': value}


@pytest.mark.parametrize('body, depth', [
    (b'{"a":"%s"}' % (b'[' * 500), 1), (b'{"a":"\\"%s"}' % (b'[' * 500), 1),
    (b'{"a":"\\\\","b":[%s]}' % (b'[],' * 500 + b'1'), 3),
    (b'{"a":%s}' % (b'[' * 199 + b']' * 199), 200)])
def test_levels_are_counted_outside_of_texts(body, depth):
    assert not convert._is_suspicious(body)


def test_one_level_too_many_is_found():
    body = b'{"a":"\\\\","b":%s}' % (b'[' * 200 + b']' * 200)
    with pytest.raises(convert.ConvertError):
        convert.parse('master.Call', body)


def test_long_path_is_not_looked_up():
    files = Files()
    for path in ('/a' * 2000000, '/' * 4000000, '/a\0b'):
        start = time.time()
        with pytest.raises(LookupError):
            files.read(path)
        with pytest.raises(LookupError):
            files.list(path)
        assert time.time() - start < SOON


def test_chunked_body_is_held_as_one():
    parser = RequestParser(max_body=1000)
    parser.feed(b'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    assert parser.feed(b'2\r\nab\r\n' * 400) == []
    assert isinstance(parser._body, bytearray) and len(parser._body) == 800
    assert parser.feed(b'0\r\n\r\n')[0].body == b'ab' * 400


def test_frame_that_the_keeper_would_not_take_is_not_made():
    with pytest.raises(ValueError) as caught:
        pack({'environment': 'x' * (MAX_FRAME + 1)})
    assert 'at most %d are allowed' % MAX_FRAME in str(caught.value)


def test_archive_cannot_take_all_memory(tmpdir):
    # A name of 8 GB, of which only the head is there.
    entry = tarfile.TarInfo('././@LongLink')
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 8 * 1024 ** 3 - 1
    tmpdir.join('x.tar').write_binary(entry.tobuf(tarfile.GNU_FORMAT) + b'x' * 1024)
    folder = Folder(str(tmpdir), 10 ** 6)
    try:
        with pytest.raises((archives.BadArchive, MemoryError, EnvironmentError)):
            archives.unpack(folder, 'x.tar')
    finally:
        folder.close()
    assert os.listdir(str(tmpdir)) == ['x.tar']


# ---- who runs what, and who sees what

class FakeDriver(object):
    """What a :class:`Checker` asks of its driver."""

    class executor(object):
        class container(object):
            token = 'c'

    class agent(object):
        effects = []

        class world(object):
            @staticmethod
            def monotonic():
                return 0.0

    def __init__(self):
        self.timers = []

    def set_timer(self, what, run, delay):
        self.timers.append(delay)


class FakeRun(object):
    id = 't'

    class container(object):
        token, directory, spec = 'c', '/sandbox', {'user': 'nobody', 'environment': {'A': '1'}}


def test_health_check_runs_as_the_user_of_its_task_and_waits_at_most_for_years():
    driver = FakeDriver()
    checker = Checker(driver, FakeRun(), 'health', {
        'type': 'COMMAND', 'command': {'value': 'id', 'user': 'root'}, 'delay_seconds': 'Infinity',
        'interval_seconds': 'Infinity', 'timeout_seconds': 'Infinity', 'grace_period_seconds': 'Infinity'})
    checker.perform()
    checker.take(1, {'exit_code': 1})
    probe = driver.agent.effects[-1]
    assert probe.check['user'] == 'nobody'
    assert driver.timers == [NEVER, NEVER] and probe.timeout == NEVER


def test_secrets_are_not_shown():
    secret = {'type': 'VALUE', 'value': {'data': 'c2VzYW0='}}
    info = {'command': {'environment': {'variables': [{'name': 'A', 'type': 'SECRET', 'secret': secret},
                                                      {'name': 'B', 'type': 'VALUE', 'value': 'b'}]}},
            'container': {'volumes': ({'source': {'type': 'SECRET', 'secret': dict(secret)}},)}}
    shown = without_secrets(info)
    assert 'c2VzYW0=' not in json.dumps(shown)
    assert shown['command']['environment']['variables'] == [
        {'name': 'A', 'type': 'SECRET', 'secret': {'type': 'VALUE'}}, {'name': 'B', 'type': 'VALUE', 'value': 'b'}]
    assert secret['value'] == {'data': 'c2VzYW0='}


# ---- archives

def packed(*entries):
    """The bytes of a tar; entries are (name, type, target or content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        for name, kind, value in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o6777
            if kind == tarfile.REGTYPE:
                entry.size = len(value)
                archive.addfile(entry, io.BytesIO(value))
            else:
                entry.linkname = value
                archive.addfile(entry)
    return out.getvalue()


@pytest.mark.parametrize('entries', [
    [('link', tarfile.SYMTYPE, '..'), ('link/out', tarfile.REGTYPE, b'x')],
    [('a', tarfile.DIRTYPE, ''), ('a/b', tarfile.SYMTYPE, '.'), ('a/b/c', tarfile.SYMTYPE, '../..'),
     ('a/b/c/out', tarfile.REGTYPE, b'x')],
    [('hard', tarfile.LNKTYPE, '../secret')], [('hard', tarfile.LNKTYPE, '/etc/passwd')],
    [('s', tarfile.SYMTYPE, 'x.tar'), ('d', tarfile.SYMTYPE, 's/..'), ('d/../../out', tarfile.REGTYPE, b'x')],
    [('fifo', tarfile.FIFOTYPE, '')], [('dev', tarfile.CHRTYPE, '')], [('/out', tarfile.REGTYPE, b'x')],
    [('d/../../out', tarfile.REGTYPE, b'x')], [('', tarfile.REGTYPE, b'x')], [('.', tarfile.SYMTYPE, '..')]])
def test_archive_does_not_leave_the_sandbox(tmpdir, entries):
    tmpdir.join('secret').write('secret')
    sandbox = tmpdir.mkdir('sandbox')
    sandbox.join('x.tar').write_binary(packed(*entries))
    folder = Folder(str(sandbox), 10 ** 6)
    try:
        with pytest.raises((ValueError, EnvironmentError)):
            archives.unpack(folder, 'x.tar')
    finally:
        folder.close()
    assert sorted(os.listdir(str(tmpdir))) == ['sandbox', 'secret']
    for name in os.listdir(str(sandbox)):
        assert os.path.realpath(str(sandbox.join(name))).startswith(str(sandbox.realpath()))


def test_unpacked_file_has_no_special_bits(tmpdir):
    tmpdir.join('x.tar').write_binary(packed(('tool', tarfile.REGTYPE, b'#!/bin/sh')))
    folder = Folder(str(tmpdir), 10 ** 6)
    try:
        archives.unpack(folder, 'x.tar')
    finally:
        folder.close()
    assert os.stat(str(tmpdir.join('tool'))).st_mode & 0o7777 == 0o777
