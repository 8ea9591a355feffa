"""What the measured processes measure with."""
from __future__ import absolute_import, division, print_function

import resource
import time

__all__ = ['cpu_seconds', 'parsers', 'peak_bytes', 'seconds']

try:
    seconds = time.perf_counter
except AttributeError:      # Python 2
    seconds = time.time


def cpu_seconds():
    """CPU time of this process, all threads, in user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def parsers():
    """The parsers of HTTP and JSON that the library in use takes by itself, as text."""
    try:
        from pymesos.wire import httpmsg, messages
    except ImportError:         # 0.3.15, which knows no others
        return 'http-parser, json'
    return '%s, %s' % (httpmsg.BACKENDS[0], messages.PARSERS[0])


def peak_bytes():
    """The most that was resident at once; 0 where there is no /proc."""
    # Not from getrusage(): there a child begins with the peak of the process that forked it.
    try:
        with open('/proc/self/status') as status:
            for line in status:
                if line.startswith('VmHWM:'):
                    return int(line.split()[1]) * 1024
    except EnvironmentError:
        return 0
    return 0
