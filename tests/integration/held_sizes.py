"""How much a running cluster holds: descriptors, children, memory, and the sizes of all containers of its objects."""
from __future__ import absolute_import, division, print_function

import gc
import os
import types
from collections import Counter, deque

from pymesos.serving import loop

_ATOMS = (str, bytes, type(u''), int, float, bool, type(None), type, types.ModuleType)
_SEQUENCES = (list, tuple, set, frozenset, deque)
_CONTAINERS = _SEQUENCES + (dict,)


def sizes(cluster):
    """Counter of ``Class.attribute`` -> how many items there are in it and in the containers in it, of all objects.

    All that is reachable from the nodes and from what they share is looked at, on the thread that owns it.
    """
    return cluster._loop.carry_out(lambda: _sizes(cluster))


def _sizes(cluster):
    found = Counter({'Loop.selector': len(cluster._loop.selector.get_map()),
                     'cancelled timers': _cancelled_timers(cluster._loop)})
    seen = {}                   # also keeps what is looked at alive, so that no number stands for two
    todo = [(root, 'cluster') for root in (cluster._machinery, cluster._masters, cluster._agents)]
    todo += [(key.data, 'Loop.selector') for key in cluster._loop.selector.get_map().values()]
    while todo:
        value, name = todo.pop()
        # What several attributes hold, as messages are held, is counted for each of them.
        key = (id(value), name if isinstance(value, _CONTAINERS) else None)
        if not isinstance(value, _ATOMS) and key not in seen:
            seen[key] = value
            todo += _look_into(value, name, found)
    return found


def _cancelled_timers(used):
    """How many timers that were called off a loop has kept beyond those that it may keep."""
    pending = sum(timer.is_pending for _when, _serial, timer in used._timers)
    return max(0, len(used._timers) - 2 * pending - loop.CANCELLED_TIMERS)


def _look_into(value, name, found):
    """Count a value that is met for the first time; what is in it, with names."""
    if isinstance(value, dict):
        found[name] += len(value)
        return [(item, name) for pair in list(value.items()) for item in pair]
    if isinstance(value, _SEQUENCES):
        found[name] += len(value)
        return [(item, name) for item in list(value)]
    if isinstance(value, bytearray):
        found[name] += len(value)
    elif isinstance(value, types.MethodType):
        return [(value.__self__, name)]
    elif isinstance(value, types.FunctionType):
        return [(cell.cell_contents, 'closure of ' + value.__name__) for cell in value.__closure__ or ()]
    elif type(value).__module__.startswith('pymesos.'):
        found[type(value).__name__] += 1
        return [(item, '%s.%s' % (type(value).__name__, attribute)) for attribute, item in _attributes(value)]
    return []


def _attributes(value):
    found = dict(getattr(value, '__dict__', {}))
    for kind in type(value).__mro__:
        for attribute in getattr(kind, '__slots__', ()):
            if hasattr(value, attribute):
                found[attribute] = getattr(value, attribute)
    if isinstance(value, loop.Loop):
        found['_timers'] = [item for item in value._timers if item[2].is_pending]
    return found.items()


def grown(before, after, share=0.1, slack=40):
    """{name: (before, after)} of what has more items than before, by more than a share and some.

    Between the two something should have been done so often that what grows by one each time is seen.
    """
    return dict((name, (before[name], after[name])) for name in after
                if after[name] > before[name] * (1 + share) + slack)


def descriptors(pid):
    """How many a process has open."""
    return len(os.listdir('/proc/%s/fd' % pid))


def resident(pid):
    """Resident MB of a process."""
    gc.collect()
    with open('/proc/%s/statm' % pid) as stream:
        return int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2.0 ** 20


def children(pid):
    """The pids of a process's children, zombies too."""
    found = []
    for name in os.listdir('/proc'):
        try:
            with open('/proc/%s/stat' % name) as stream:
                if stream.read().rpartition(')')[2].split()[1] == str(pid):
                    found.append(int(name))
        except EnvironmentError:        # it is no process, or has ended
            continue
    return found
