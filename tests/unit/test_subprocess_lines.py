"""Several outputs made one, line by line."""
from __future__ import absolute_import, division, print_function

import random

import pytest

from pymesos.subprocess.cli.lines import MAX_HELD, MAX_LINE, Interleaver, LineReader


def interleaver(*tags):
    lines = Interleaver()
    for number, tag in enumerate(tags):
        lines.add(number, tag)
    return lines


def test_lines_are_passed_on_whole_with_their_tags():
    lines = interleaver(b'[0] ', b'[1] ')
    lines.feed(0, b'one')
    lines.feed(1, b'uno\ndue\ntr')
    lines.feed(0, b' more\n')
    assert lines.output() == b'[1] uno\n[1] due\n[0] one more\n'
    lines.feed(1, b'e\n')
    assert lines.output() == b'[1] tre\n'
    assert lines.size == 0


def test_last_line_without_an_end_gets_one():
    lines = interleaver(b'', b'')
    lines.feed(0, b'one')
    lines.feed(1, b'two')
    lines.end(0)
    lines.end(1)
    assert lines.output() == b'one\ntwo\n'


def test_source_that_printed_nothing_adds_nothing():
    lines = interleaver(b'[0] ')
    lines.end(0)
    assert lines.output() == b''


def test_only_newlines_end_lines():
    lines = interleaver(b'> ')
    lines.feed(0, b'a\x0cb\rc\x85d\xff\0\n\n')
    assert lines.output() == b'> a\x0cb\rc\x85d\xff\0\n> \n'


def test_long_line_is_passed_on_as_it_comes_and_stays_whole():
    lines = interleaver(b'[0] ', b'[1] ')
    lines.feed(0, b'x' * MAX_HELD)
    lines.feed(1, b'other\n')
    assert lines.output() == b'[0] ' + b'x' * MAX_HELD
    assert lines.is_held_up and lines.may_feed(0) and lines.may_feed(1)
    lines.feed(0, b'y')
    assert lines.output() == b'y'
    lines.feed(0, b'z\nnext')
    assert lines.output() == b'z\n[1] other\n'
    lines.end(0)
    lines.end(1)
    assert lines.output() == b'[0] next\n'


def test_there_is_no_room_for_more_while_another_has_the_floor():
    lines = interleaver(b'', b'')
    lines.feed(0, b'x' * MAX_HELD)
    lines.feed(1, b'y\n' * (MAX_HELD // 2))
    assert lines.may_feed(0) and not lines.may_feed(1)
    lines.feed(0, b'\n')
    assert lines.may_feed(1)
    assert lines.output() == b'x' * MAX_HELD + b'\n' + b'y\n' * (MAX_HELD // 2)


def test_line_that_keeps_others_waiting_can_be_broken():
    lines = interleaver(b'[0] ', b'[1] ')
    lines.feed(0, b'x' * MAX_HELD)
    assert not lines.is_held_up
    lines.feed(1, b'other\n')
    lines.release()
    lines.feed(0, b'rest\n')
    assert lines.output() == b'[0] ' + b'x' * MAX_HELD + b'\n[1] other\n[0] rest\n'


def test_source_that_ends_while_it_is_held_is_not_lost():
    lines = interleaver(b'', b'', b'')
    lines.feed(0, b'x' * MAX_HELD)
    lines.feed(1, b'last words')
    lines.end(1)
    lines.feed(2, b'z' * MAX_HELD)
    lines.end(2)
    lines.end(0)
    parts = [b'x' * MAX_HELD, b'last words', b'z' * MAX_HELD, b'']
    assert sorted(lines.output().split(b'\n')) == sorted(parts)
    assert not lines.is_held_up


def test_output_is_taken_in_pieces():
    lines = interleaver(b'')
    lines.feed(0, b'abc\n')
    lines.feed(0, b'def\n')
    assert lines.size == 8
    assert [lines.output(3), lines.output(3), lines.output(3)] == [b'abc', b'\nde', b'f\n']
    assert lines.size == 0


def test_nothing_is_lost_or_mixed_up_however_it_is_cut(random_seed):
    rng = random.Random(random_seed)
    for _ in range(60):
        lines = Interleaver()
        count = rng.randint(1, 4)
        texts = []
        for number in range(count):
            lines.add(number, b'%d:' % number)
            lengths = [rng.choice((0, 1, 20, 3000, MAX_HELD, 2 * MAX_HELD + 5)) for _ in range(rng.randint(0, 6))]
            texts.append([bytes(bytearray([65 + number])) * length for length in lengths])
        left = {number: b'\n'.join(texts[number]) for number in range(count)}
        output = []
        while left:
            number = rng.choice(sorted(left))
            if not lines.may_feed(number):
                continue
            size = rng.choice((1, 7, 4096, 65536, 200000))
            lines.feed(number, left[number][:size])
            left[number] = left[number][size:]
            if not left[number]:
                del left[number]
                lines.end(number)
            output.append(lines.output(rng.choice((None, 100))))
        output.append(lines.output())
        found = b''.join(output).split(b'\n')
        assert found.pop() == b''
        for number in range(count):
            tag = b'%d:' % number
            mine = [line[len(tag):] for line in found if line.startswith(tag)]
            wanted = list(texts[number])
            if wanted and not wanted[-1]:
                wanted.pop()
            assert mine == wanted
        assert len(found) == sum(len([line for line in found if line.startswith(b'%d:' % number)])
                                 for number in range(count))


@pytest.mark.parametrize('size', [1, 2, 3, 100])
def test_lines_are_cut_however_they_come(size):
    reader, found, data = LineReader(), [], b'one\n\ntwo\r\nlast'
    for place in range(0, len(data), size):
        found += reader.feed(data[place:place + size])
    assert found == [b'one', b'', b'two\r']
    assert reader.close() == [b'last']
    assert reader.close() == []


def test_line_that_is_too_long_is_refused():
    reader = LineReader()
    reader.feed(b'x' * MAX_LINE)
    with pytest.raises(ValueError) as caught:
        reader.feed(b'x')
    assert str(caught.value) == 'a line of more than 1048576 bytes'
