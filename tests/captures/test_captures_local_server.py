"""The embedded servers against every recorded exchange: the same request brings the same status line and headers.

A model that knows the recorded answer stands behind the server. What never reaches a model has to be equal to the
last byte of the body.
"""
from __future__ import absolute_import, division, print_function

import base64
import glob
import json
import os
import re
import zlib
from collections import OrderedDict

import captured
import pytest
from local_server import Client, FakeModel, Serving, undated
from pymesos.local.model.effects import Reply

#: What is different here on purpose, and why.
DIFFERENT = {
    'operator-master/GET-help': 'the page is another one',
    'operator-master/accept-protobuf': 'protobuf is not spoken: 406',
    'operator-agent/GET-files_browse': 'modes are told as text: test_local_server_routes has it',
    'scheduler/crash-type-UNKNOWN-call': 'the real master dies of it',
}

PROTOBUF = b'application/x-protobuf'

CREDENTIALS = {'user': 'pass'}


def exchanges():
    """(kind/name, path without its ending) of all that was recorded as request and response."""
    folder = os.path.join(captured.SHARED, 'captures')
    found = [path[:-len('.request')] for path in sorted(glob.glob(os.path.join(folder, '*', '*.request')))]
    return [path for path in found if os.path.exists(path + '.response')]


def name_of(path):
    return '/'.join(path.split(os.sep)[-2:])


def read(path):
    with open(path, 'rb') as stream:
        return stream.read()


class Recorded(object):
    """One exchange: what was sent, and the status, headers and body of the first answer."""

    def __init__(self, path):
        self.name = name_of(path)
        self.request = read(path + '.request')
        self.response = read(path + '.response')
        self.head, _, self.body = self.response.partition(b'\r\n\r\n')
        self.is_stream = b'Transfer-Encoding: chunked' in self.head
        length = re.search(br'\r\nContent-Length: ([0-9]+)', self.head)
        if length:
            self.body = self.body[:int(length.group(1))]

    @property
    def kind(self):
        is_of_agent = self.name.startswith(('executor/', 'operator-agent/', 'auth/operator-agent'))
        return 'agent' if is_of_agent else 'master'

    def reply(self):
        """The answer as a model would have given it."""
        status = int(self.head.split()[1])
        headers = [line.decode('latin-1').split(': ', 1) for line in self.head.split(b'\r\n')[1:]]
        values = dict(headers)
        usual = ('Content-Type', 'Content-Length', 'Date', 'Transfer-Encoding', 'Content-Encoding')
        extra = [tuple(header) for header in headers if header[0] not in usual]
        if self.is_stream:
            return Reply(status, headers=extra, stream='s1')
        body = zlib.decompress(self.body, 16 + zlib.MAX_WBITS) if 'Content-Encoding' in values else self.body
        kind = values.get('Content-Type')
        if kind is None:
            return Reply(status, None, extra)
        if kind == 'application/json':
            return Reply(status, json.loads(body.decode('utf-8'), object_pairs_hook=OrderedDict), extra)
        return Reply(status, body.decode('utf-8'), extra)


class RecordedModel(FakeModel):
    """Gives the recorded answer to whatever it is asked."""

    def __init__(self, reply):
        super(RecordedModel, self).__init__()
        self._reply = reply
        self.is_asked = False

    def _answer(self, name, method, *args):
        self.is_asked = True
        return self._reply

    def legacy(self, *args):
        return self._answer(None, None)


class RecordedFiles(object):
    """What LIST_FILES and READ_FILE have told."""

    def __init__(self, recorded):
        self._status = int((recorded.head.split() or [0, 0])[1])
        self._body = recorded.body

    def _check(self):
        if self._status == 404:
            raise LookupError('not attached')

    def list(self, _path):
        self._check()
        infos = json.loads(self._body.decode('utf-8'))['list_files']['file_infos']
        return [dict(info, mtime=info['mtime']['nanoseconds'] // 10 ** 9) for info in infos]

    def read(self, _path, _offset=0, _length=None):
        self._check()
        if self._body[:1] != b'{':
            return len(self._body), self._body
        told = json.loads(self._body.decode('utf-8'))
        if 'read_file' not in told:
            return 100, told['data'].encode('utf-8')
        return told['read_file']['size'], base64.b64decode(told['read_file']['data'])


def normal(head):
    """The head of an answer without what differs from run to run."""
    return re.sub(br'127\.0\.0\.1:[0-9]+', b'HOST', undated(head + b'\r\n\r\n'))


def is_same(body, expected):
    """Whether two bodies are equal, as JSON if they are."""
    return body == expected or (
        body[:1] in (b'{', b'[') and json.loads(body.decode('utf-8')) == json.loads(expected.decode('utf-8')))


def ask(serving, recorded):
    """(head, body) of the answer here; body None for a stream."""
    with Client(serving.port) as client:
        # Who asks for a host of another name is not answered here.
        client.send(recorded.request.replace(b'Host: x\r\n', b'Host: localhost\r\n'))
        if not recorded.head:
            assert client.is_closed()
            return b'', b''
        head = client.until(b'\r\n\r\n')[:-4]
        length = re.search(br'\r\nContent-Length: ([0-9]+)', head)
        return head, client.exactly(int(length.group(1))) if length else None


@pytest.mark.parametrize('path', exchanges(), ids=name_of)
def test_answer_has_the_head_that_was_recorded(path):
    recorded = Recorded(path)
    if recorded.name in DIFFERENT:
        pytest.skip(DIFFERENT[recorded.name])
    if PROTOBUF in recorded.request.partition(b'\r\n\r\n')[0] and b'Content-Type: ' + PROTOBUF in recorded.head:
        pytest.skip('protobuf is not spoken')
    is_secured = recorded.name.startswith('auth/')
    settings = dict(authenticate_readonly=True, authenticate_readwrite=True) if is_secured else {}
    if is_secured and recorded.kind == 'master':
        settings['authenticate_frameworks'] = True
    with Serving(recorded.kind, CREDENTIALS if is_secured else None, **settings) as serving:
        model = serving.node.model = RecordedModel(recorded.reply() if recorded.head else None)
        serving.node.files = RecordedFiles(recorded)
        head, body = ask(serving, recorded)
        if not recorded.head:
            return
        is_packed = b'Content-Encoding: gzip' in recorded.head
        length = re.compile(br'Content-Length: [0-9]+')
        if is_packed or model.is_asked and body != recorded.body:
            # Numbers are written in more than one way, and packed in more than one.
            assert length.sub(b'', normal(head)) == length.sub(b'', normal(recorded.head))
        else:
            assert normal(head) == normal(recorded.head)
        assert body is None or is_packed or is_same(body, recorded.body)


def test_enough_was_recorded():
    assert len(exchanges()) > 300
    assert len(captured.paths('wire', '*.request')) > 15 and len(captured.paths('auth', '*.request')) > 20
