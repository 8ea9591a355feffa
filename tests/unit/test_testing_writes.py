"""Writes from other threads reach the peer, whatever the server's thread does meanwhile."""
from __future__ import absolute_import, division, print_function

import socket
import sys
import threading

from pymesos.testing import ScriptedMaster, wait_until

SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}'


def test_many_small_events_all_arrive():
    switch = getattr(sys, 'setswitchinterval', lambda _seconds: None)
    with ScriptedMaster(heartbeats=False) as master:
        sock = socket.create_connection(('127.0.0.1', master.port))
        sock.sendall(b'POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
                     b'Content-Length: %d\r\n\r\n%s' % (len(SUBSCRIBE), SUBSCRIBE))
        master.await_subscribe()
        received = []

        def read():
            data = sock.recv(65536)
            while data:
                received.append(data)
                data = sock.recv(65536)

        def count():
            return b''.join(received).count(b'"RESCIND"')

        reader = threading.Thread(target=read)
        reader.start()
        before = getattr(sys, 'getswitchinterval', lambda: None)()
        switch(1e-6)                # so that threads change in the most awkward places
        try:
            for _ in range(5000):
                master.send_event({'type': 'RESCIND'})
        finally:
            switch(before)
        wait_until(lambda: count() == 5000, message=lambda: '5000 events, not %d' % count())
        sock.shutdown(socket.SHUT_RDWR)
        reader.join()
        sock.close()
