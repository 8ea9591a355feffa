"""Draw the life of a subscription from its table, pymesos.wire.session.TRANSITIONS.

Writes states.svg and states.rst beside this file; with --check it only compares them, and fails if they are stale.
"""
from __future__ import absolute_import, division, print_function

import math
import os
import sys
from collections import OrderedDict
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from pymesos.wire import session  # noqa: E402  found beside this folder

#: What each state means, for the table; and where it stands in the picture (its middle, in pixels).
MEANINGS = {
    'IDLE': ('not started', (90, 50)),
    'DETECTING': ('nobody is known to lead', (310, 50)),
    'DIALLING': ('a connection is being made', (540, 50)),
    'SUBSCRIBING': ('SUBSCRIBE is sent, SUBSCRIBED has not come', (860, 50)),
    'SUBSCRIBED': ('events flow, calls may be sent', (860, 330)),
    'WAITING': ('the delay before the next try', (540, 170)),
    'LEAVING': ('TEARDOWN is under way', (860, 460)),
    'ENDED': ('nothing will happen any more', (310, 460)),
}
WIDTH, HEIGHT = 960, 500
BOX_WIDTH, BOX_HEIGHT = 132, 40

#: These lead to one state from nearly all others: the picture tells them once, in words.
COMMON = {'led', 'unled', 'stopped', 'left', 'crashed', 'impatient'}
#: Of those, what is drawn all the same, as the way that a life usually takes.
DRAWN = {('DETECTING', 'led'), ('DETECTING', 'impatient'), ('SUBSCRIBED', 'stopped'), ('SUBSCRIBED', 'left')}


def arrows():
    """(state, next state) -> stimuli, in the order of the states, of what is drawn."""
    found = OrderedDict()
    for (state, stimulus), (following, _) in ordered():
        if state != following and (stimulus not in COMMON or (state, stimulus) in DRAWN):
            found.setdefault((state, following), []).append(stimulus)
    return found


def ordered():
    """The table's rows by state, then stimulus."""
    return sorted(session.TRANSITIONS.items(), key=lambda row: (session.STATES.index(row[0][0]), row[0][1]))


def edge_of_box(middle, towards):
    """Where the line from the middle of a box to a point leaves the box."""
    across, down = towards[0] - middle[0], towards[1] - middle[1]
    ways = ((BOX_WIDTH / 2, abs(across)), (BOX_HEIGHT / 2, abs(down)))
    scale = min(half / distance for half, distance in ways if distance)
    return middle[0] + across * scale, middle[1] + down * scale


def shifted(one, other, by):
    """Both points, moved to the left of the line between them, so that arrows there and back do not meet."""
    length = math.hypot(other[0] - one[0], other[1] - one[1])
    across, down = by * (other[1] - one[1]) / length, -by * (other[0] - one[0]) / length
    return (one[0] + across, one[1] + down), (other[0] + across, other[1] + down)


def draw_label(text, x, y, anchor):
    """On a white rim that cuts the lines behind it."""
    for look in ('fill="none" stroke="#fff" stroke-width="4"', 'fill="#234d80"'):
        yield '<text font-size="12" x="%.0f" y="%.0f" text-anchor="%s" %s>%s</text>' % (
            x, y, anchor, look, escape(text))


def draw_arrow(state, following, stimuli, is_both_ways):
    one, other = MEANINGS[state][1], MEANINGS[following][1]
    one, other = edge_of_box(one, other), edge_of_box(other, one)
    if is_both_ways:
        one, other = shifted(one, other, 10)
    (x1, y1), (x2, y2) = one, other
    lines = ['<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" marker-end="url(#head)"/>' % (x1, y1, x2, y2)]
    is_level = abs(y2 - y1) < 1
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 + 4 - 7 * (len(stimuli) - 1)
    anchor = 'middle'
    if is_level:
        y -= 10
    elif is_both_ways:
        x, anchor = (x - 5, 'end') if y2 < y1 else (x + 5, 'start')
    for number, stimulus in enumerate(stimuli):
        lines.extend(draw_label(stimulus, x, y + 14 * number, anchor))
    return lines


def draw():
    """The picture, as SVG."""
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">' % (WIDTH, HEIGHT),
        '<style>rect{fill:#fff;stroke:#333;stroke-width:1.5} line{stroke:#666;stroke-width:1.2}</style>',
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L10 5L0 10z" fill="#666"/></marker></defs>',
    ]
    found = arrows()
    for (state, following), stimuli in found.items():
        lines.extend(draw_arrow(state, following, stimuli, (following, state) in found))
    for state in session.STATES:
        x, y = MEANINGS[state][1]
        lines.append('<rect x="%d" y="%d" width="%d" height="%d" rx="6"/>' % (
            x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2, BOX_WIDTH, BOX_HEIGHT))
        lines.append('<text x="%d" y="%d" font-size="13" text-anchor="middle" font-weight="bold">%s</text>' % (
            x, y + 5, state))
    return '\n'.join(lines + ['</svg>', ''])


def tabulate():
    """The whole table, as reStructuredText."""
    lines = ['.. Made by make_state_diagram.py from pymesos/wire/session.py.', '']
    for state in session.STATES:
        lines += ['``%s``' % state, '    %s' % MEANINGS[state][0].capitalize() + '.', '']
        rows = [(stimulus, following, steps) for (begin, stimulus), (following, steps) in ordered() if begin == state]
        if not rows:
            continue
        lines += ['    .. list-table::', '       :header-rows: 1', '       :widths: 20 20 60', '',
                  '       * - what happened', '         - next state', '         - what is done']
        for stimulus, following, steps in rows:
            lines += ['       * - %s' % stimulus, '         - %s' % following, '         - %s' % (
                ', '.join(steps) or 'nothing')]
        lines.append('')
    return '\n'.join(lines)


def is_held(path, data):
    if not os.path.exists(path):
        return False
    with open(path, 'rb') as stream:
        return stream.read() == data


def main(arguments):
    if set(MEANINGS) != set(session.STATES):
        sys.exit('the states have changed: describe and place them in MEANINGS')
    stale = []
    for name, text in (('states.svg', draw()), ('states.rst', tabulate())):
        path = os.path.join(HERE, name)
        if '--check' not in arguments:
            with open(path, 'wb') as stream:
                stream.write(text.encode('utf-8'))
        elif not is_held(path, text.encode('utf-8')):
            stale.append(name)
    if stale:
        sys.exit('%s no longer shows the table: run docs/make_state_diagram.py' % ', '.join(stale))


if __name__ == '__main__':
    main(sys.argv[1:])
