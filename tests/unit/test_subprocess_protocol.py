"""The handshake, frames and control messages of subprocess."""
from __future__ import absolute_import, division, print_function

import hmac
from hashlib import sha256

import pytest

from pymesos.errors import MessageError, ProtocolError, RecordError, UsageError
from pymesos.subprocess.streams import protocol
from pymesos.subprocess.streams.protocol import (HELLO_SIZE, PROOF_SIZE, WELCOME_SIZE, Caller, ControlDecoder,
                                                 encode_control, is_hello_genuine, is_proof, make_hello, make_welcome,
                                                 read_head, read_hello)

KEY = bytes(bytearray(range(32)))
IDENTITY = b'I' * 16
NONCE = b'N' * 16
HELLO = make_hello(KEY, IDENTITY, 7, NONCE)


def flipped(data, position):
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def test_hello_is_made_of_what_the_specification_says():
    signed = b'pymesos\x01' + IDENTITY + b'\0\0\0\x07' + NONCE
    assert HELLO == signed + hmac.new(KEY, b'hello' + signed, sha256).digest()
    assert len(HELLO) == HELLO_SIZE == 76


def test_hello_is_read_and_known_for_genuine():
    hello = read_hello(HELLO)
    assert hello == (IDENTITY, 7, HELLO)
    assert is_hello_genuine(KEY, hello)
    assert not is_hello_genuine(b'x' * 32, hello)


@pytest.mark.parametrize('position', range(8, HELLO_SIZE))
def test_hello_with_any_bit_changed_is_not_genuine(position):
    assert not is_hello_genuine(KEY, read_hello(flipped(HELLO, position)))


@pytest.mark.parametrize('data', [b'', HELLO[:-1], HELLO + b'x', b'GET / HTTP/1.1\r\n'.ljust(HELLO_SIZE), b'x' * 76])
def test_what_is_no_hello_is_refused(data):
    with pytest.raises(ProtocolError) as caught:
        read_hello(data)
    assert str(caught.value).startswith("expected 76 bytes that begin with ")


@pytest.mark.parametrize('step', [1, 5, WELCOME_SIZE, 100])
def test_both_sides_prove_the_key_however_the_welcome_is_cut(step):
    caller = Caller(KEY, IDENTITY, 7, NONCE)
    hello = read_hello(caller.hello)
    answer = make_welcome(KEY, hello, b'M' * 16) + b'frames'
    proof = None
    for start in range(0, len(answer), step):
        if proof is None:
            proof = caller.feed(answer[start:start + step])
            consumed = start + step
    assert len(proof) == PROOF_SIZE
    assert is_proof(KEY, hello, b'M' * 16, proof)
    assert not is_proof(KEY, hello, b'O' * 16, proof)
    assert not is_proof(b'x' * 32, hello, b'M' * 16, proof)
    assert caller.trailing + answer[consumed:] == b'frames'


def test_caller_refuses_a_peer_without_the_key_and_one_that_answers_another_hello():
    other = read_hello(make_hello(KEY, IDENTITY, 8, NONCE))
    for welcome in (make_welcome(b'x' * 32, read_hello(HELLO), NONCE), make_welcome(KEY, other, NONCE), b'\0' * 48,
                    HELLO):
        with pytest.raises(ProtocolError) as caught:
            Caller(KEY, IDENTITY, 7, NONCE).feed(welcome)
        assert str(caught.value) == 'the peer does not know the secret of the task'


def test_no_message_of_the_handshake_can_be_taken_for_another_one():
    hello = read_hello(HELLO)
    welcome, proof = make_welcome(KEY, hello, NONCE), protocol.make_proof(KEY, hello, NONCE)
    assert welcome[16:] != proof
    assert not is_proof(KEY, hello, NONCE, welcome[16:])


@pytest.mark.parametrize('kind, length', [(protocol.DATA, 1), (protocol.DATA, 256 * 1024), (protocol.CREDIT, 16),
                                          (protocol.END, 8), (protocol.STOP, 0), (protocol.RESUME, 0),
                                          (protocol.RESUME, 68), (protocol.PING, 0), (protocol.PONG, 0)])
def test_head_of_a_frame_is_read(kind, length):
    assert read_head(protocol.pack_head(kind, 2, length)) == (kind, 2, length)


@pytest.mark.parametrize('kind, length, text', [
    (0, 0, 'cannot read a frame: its type is 0, known are 1 to 7'),
    (8, 0, 'cannot read a frame: its type is 8, known are 1 to 7'),
    (1, 0, 'cannot read a frame of type 1: it announces 0 bytes, allowed are 1 to 262144'),
    (1, 262145, 'cannot read a frame of type 1: it announces 262145 bytes, allowed are 1 to 262144'),
    (2, 15, 'cannot read a frame of type 2: it announces 15 bytes, allowed are 16 to 16'),
    (5, 69, 'cannot read a frame of type 5: it announces 69 bytes, allowed are 0 to 68'),
    (6, 2 ** 32 - 1, 'cannot read a frame of type 6: it announces 4294967295 bytes, allowed are 0 to 0'),
])
def test_head_that_is_not_allowed_is_refused_from_the_head_alone(kind, length, text):
    with pytest.raises(ProtocolError) as caught:
        read_head(protocol.pack_head(kind, 0, length))
    assert str(caught.value) == text


def test_resume_that_is_cut_in_an_entry_is_refused():
    whole = protocol.pack_resume([(0, 1, 2), (1, 2 ** 64 - 1, 4)])[protocol.HEAD_SIZE:]
    assert protocol.unpack_resume(whole) == [(0, 1, 2), (1, 2 ** 64 - 1, 4)]
    with pytest.raises(ProtocolError) as caught:
        protocol.unpack_resume(whole[:-1])
    assert str(caught.value) == 'cannot read a RESUME: 33 bytes are no multiple of 17'


@pytest.mark.parametrize('step', [1, 3, 1000])
def test_control_messages_arrive_however_they_are_cut(step):
    messages = [{'type': 'START', 'args': ['aGk=']}, {'type': 'SIGNAL', 'number': 15}, {'type': u'\xe4'}]
    data = b''.join(encode_control(message) for message in messages)
    decoder = ControlDecoder()
    got = []
    for start in range(0, len(data), step):
        got += decoder.feed(memoryview(data)[start:start + step])
    assert got == messages


@pytest.mark.parametrize('data, error', [
    (b'x\n', RecordError), (b'16777217\n', RecordError), (b'2\n[]', MessageError), (b'2\n{}', MessageError),
    (b'10\n{"type":1}', MessageError), (b'4\n\xff\xff\xff\xff', MessageError), (b'1\n{', MessageError),
])
def test_what_is_no_control_message_is_a_protocol_error(data, error):
    with pytest.raises(error) as caught:
        ControlDecoder().feed(memoryview(data))
    assert isinstance(caught.value, ProtocolError)


def test_control_message_beyond_16_mib_is_not_sent():
    with pytest.raises(UsageError) as caught:
        encode_control({'type': 'START', 'env': 'x' * (16 * 1024 * 1024)})
    assert str(caught.value) == 'cannot send a START of 16777241 bytes: at most 16777216 are allowed'
