"""What dials the port of subprocess: an executor's handshake, by hand, and peers that have no business there."""
from __future__ import absolute_import, division, print_function

import os
import socket

from pymesos.subprocess.streams.protocol import Caller

TIMEOUT = 30.0


def connect(hub):
    """A socket to the port."""
    return socket.create_connection(('127.0.0.1', hub.port), TIMEOUT)


def shake_hands(hub, session, counter=1, key=None):
    """A socket that has proved the session's key, after all was sent; and the bytes that came after the WELCOME."""
    sock = connect(hub)
    caller = Caller(session.key if key is None else key, session.identity, counter, os.urandom(16))
    sock.sendall(caller.hello)
    proof = None
    while proof is None:
        data = sock.recv(1000)
        if not data:
            sock.close()
            raise AssertionError('closed without an answer')
        proof = caller.feed(data)
    sock.sendall(proof)
    return sock, caller.trailing


def answer(sock):
    """All bytes until the other side closes the connection; it is closed here as well."""
    received = bytearray()
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            received += piece
    except socket.timeout:
        raise AssertionError('not closed, but %r was sent' % bytes(received))
    except socket.error:                # reset: it had not read all
        pass
    finally:
        sock.close()
    return bytes(received)


def ask(hub, data):
    """Send bytes; all that is answered until the connection is closed."""
    sock = connect(hub)
    try:
        sock.sendall(data)
    except socket.error:                # closed before all was sent
        pass
    return answer(sock)


def get(hub, path):
    """(head, body) of the answer to a request for a file."""
    head, _, body = ask(hub, ('GET %s HTTP/1.1\r\nHost: here\r\n\r\n' % path).encode('ascii')).partition(b'\r\n\r\n')
    return head, body
