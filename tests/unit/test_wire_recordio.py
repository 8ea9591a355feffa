"""RecordIO."""
from __future__ import absolute_import, division, print_function

import io
import json
import os
import random
from binascii import unhexlify

import pytest
from wire_reading import VECTORS, at_random, cut, decode_records, one_by_one

from pymesos.errors import RecordError
from pymesos.wire.recordio import DEFAULT_MAX_RECORD, Decoder, encode


def _cases():
    with io.open(os.path.join(VECTORS, 'recordio.json'), encoding='ascii') as file:
        return json.load(file)['cases']


@pytest.fixture(params=_cases(), ids=lambda case: case['name'].replace(' ', '-'))
def case(request):
    return request.param


@pytest.fixture
def data(case):
    return unhexlify(case['input_hex'])


@pytest.fixture
def expected(case):
    return [unhexlify(record) for record in case['records_hex']], case['error']


def _decode(pieces, max_record=DEFAULT_MAX_RECORD):
    return decode_records(Decoder(max_record), pieces)


def test_vector_fed_whole(case, data, expected):
    assert _decode([data], case.get('max_record', DEFAULT_MAX_RECORD)) == expected


def test_vector_fed_byte_by_byte(case, data, expected):
    assert _decode(one_by_one(data), case.get('max_record', DEFAULT_MAX_RECORD)) == expected


def test_vector_fed_in_two_pieces_cut_anywhere(case, data, expected):
    for position in range(len(data)):
        assert _decode(cut(data, [position]), case.get('max_record', DEFAULT_MAX_RECORD)) == expected, position


def test_vector_fed_at_random_cuts(case, data, expected):
    seed = random.randrange(2 ** 32)
    print('seed', seed)
    source = random.Random(seed)
    for _ in range(20):
        assert _decode(at_random(data, source), case.get('max_record', DEFAULT_MAX_RECORD)) == expected


@pytest.mark.parametrize('record', [b'', b'x', b'\n', b'5\nhello', b'x' * 100000, u'\u20ac'.encode('utf-8')])
def test_what_is_encoded_is_decoded(record):
    assert _decode([encode(record)]) == ([record], None)


def test_encode_counts_bytes():
    assert encode(u'\u20ac'.encode('utf-8')) == b'3\n\xe2\x82\xac'


def test_an_announced_record_of_2_gb_is_refused_from_its_header():
    with pytest.raises(RecordError) as raised:
        Decoder().feed(b'2147483648\n')
    assert str(raised.value) == ('cannot decode records: the peer announced a record of 2147483648 bytes, '
                                 'at most 268435456 are allowed')


def test_a_bad_length_is_quoted():
    with pytest.raises(RecordError) as raised:
        Decoder().feed(b'+5\nhello')
    assert str(raised.value) == ('cannot decode records: expected a length of 1 to 20 digits and a line feed, '
                                 'the peer sent %r' % b'+5\nhello')


def test_a_long_bad_length_is_cut_in_the_text():
    with pytest.raises(RecordError) as raised:
        Decoder().feed(b'x' * 100000)
    assert str(raised.value).endswith('%r... (100000 in all)' % (b'x' * 200))


def test_a_cut_record_is_reported_on_close():
    decoder = Decoder()
    assert decoder.feed(b'5\nhel') == []
    with pytest.raises(RecordError) as raised:
        decoder.close()
    assert str(raised.value) == 'cannot decode records: the stream ended after 3 of the 5 bytes of a record'


def test_a_cut_length_is_reported_on_close():
    decoder = Decoder()
    assert decoder.feed(b'12') == []
    with pytest.raises(RecordError) as raised:
        decoder.close()
    assert str(raised.value) == 'cannot decode records: the stream ended inside a length: %r' % b'12'


def test_an_error_is_raised_at_every_later_call():
    decoder = Decoder()
    assert decoder.error is None
    for call in (lambda: decoder.feed(b'garbage'), lambda: decoder.feed(b'5\nhello'), decoder.close, decoder.close):
        with pytest.raises(RecordError) as raised:
            call()
        assert str(raised.value) == str(decoder.error)


def test_records_before_an_error_are_returned_and_the_error_is_known_at_once():
    decoder = Decoder()
    assert decoder.feed(b'5\nhello3\nabcx') == [b'hello', b'abc']
    assert isinstance(decoder.error, RecordError)
    with pytest.raises(RecordError):
        decoder.feed(b'')


def test_what_is_held_back_can_be_asked():
    decoder = Decoder()
    assert (decoder.buffered, decoder.is_partial) == (0, False)
    decoder.feed(b'\n')
    assert (decoder.buffered, decoder.is_partial) == (0, False)
    decoder.feed(b'1')
    assert (decoder.buffered, decoder.is_partial) == (1, True)
    decoder.feed(b'0\n')
    assert (decoder.buffered, decoder.is_partial) == (0, True)
    decoder.feed(b'hello')
    assert (decoder.buffered, decoder.is_partial) == (5, True)
    assert decoder.feed(b'world') == [b'helloworld']
    assert (decoder.buffered, decoder.is_partial) == (0, False)


@pytest.mark.parametrize('pieces', [[b'1\na1\nb'], [b'1\n', b'a', b'1\nb'], [b'1', b'\na1\nb']])
def test_records_are_bytes(pieces):
    decoder = Decoder()
    records = [record for piece in pieces for record in decoder.feed(piece)]
    assert records == [b'a', b'b']
    assert [type(record) for record in records] == [bytes, bytes]


def _count_decoded(data, step):
    decoder = Decoder()
    return sum(len(decoder.feed(data[at:at + step])) for at in range(0, len(data), step))


def test_a_large_record_in_small_pieces_is_decoded():
    # 16 MB in 4,096 pieces: were each piece to copy what came before, 32 GB would be copied.
    assert _count_decoded(encode(b'x' * 2 ** 24), 4096) == 1


def test_many_tiny_records_in_one_piece_are_decoded():
    data = encode(b'{"type":"HEARTBEAT"}') * 200000
    assert _count_decoded(data, len(data)) == 200000


def test_endless_blank_lines_hold_nothing():
    decoder = Decoder()
    for _ in range(10):
        assert decoder.feed(b'\n' * 100000) == []
    assert decoder.buffered == 0
