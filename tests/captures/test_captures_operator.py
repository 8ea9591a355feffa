"""What a real Mesos 1.11 answered to operators, read by the operator's drivers."""
from __future__ import absolute_import, division, print_function

import json
import os

import captured
import pytest
from operator_server import raw_server, read_request

from pymesos.errors import CallRejected, ConnectionFailed, HttpError, MessageError
from pymesos.operator_v1 import MesosOperatorDaemonDriver


def read_back(path):
    with open(path, 'rb') as stream:
        answer = stream.read()
    head, _, body = answer.partition(b'\r\n\r\n')
    status = int(head.split()[1])

    def script(connection):
        read_request(connection)
        for start in range(0, len(answer), 50000):
            connection.sendall(answer[start:start + 50000])

    is_object = body.startswith(b'{')
    with raw_server(script) as address:
        driver = MesosOperatorDaemonDriver(address)
        try:
            result = driver._send({'type': 'GET_HEALTH'})
        except CallRejected as error:
            assert (error.status, error.body.encode('utf-8')) == (status, body)
            assert status >= 300
        except (MessageError, HttpError, ConnectionFailed):
            assert not is_object and status < 300 or status == 307
        else:
            assert result == (json.loads(body.decode('utf-8')) if body else {})
        driver.close()


@pytest.mark.parametrize('kind, pattern', [
    ('operator-master', '*.response'), ('operator-agent', '*.response'), ('auth', 'operator-*.response')])
def test_captured_answers_are_read(kind, pattern):
    for path in captured.paths(kind, pattern):
        if 'SUBSCRIBE' not in os.path.basename(path):
            read_back(path)
