"""The standard library's subprocess, on a cluster: ``from pymesos.subprocess import Popen``.

Everything has the name and the behaviour that it has in the standard library's module of the running Python, in its
newest form: see :class:`Popen`. Of a cluster's own are:

* ``CONFIG`` and :func:`configure`, which say what cluster is used; :class:`Cluster`, for more than one;
* :class:`TaskLost`, :class:`StartFailed` and :class:`StartTimeout`, errors that only a cluster has.

A name is imported when it is first asked for: an agent runs ``python -m pymesos.subprocess.executor``, which is in this
package and needs none of them.
"""
from __future__ import absolute_import, division, print_function

import importlib
import sys
import types

#: Where each name is at home.
_HOMES = {
    'CONFIG': 'config', 'configure': 'config', 'Cluster': 'cluster',
    'CalledProcessError': 'errors', 'StartFailed': 'errors', 'StartTimeout': 'errors', 'SubprocessError': 'errors',
    'TaskLost': 'errors', 'TimeoutExpired': 'errors',
    'DEVNULL': 'files', 'PIPE': 'files', 'STDOUT': 'files',
    'CompletedProcess': 'functions', 'call': 'functions', 'check_call': 'functions', 'check_output': 'functions',
    'getoutput': 'functions', 'getstatusoutput': 'functions', 'list2cmdline': 'functions', 'run': 'functions',
    'Popen': 'popen',
}

# As in the standard library, a star does not import list2cmdline.
__all__ = sorted(set(_HOMES) - {'list2cmdline'})


class _Surface(types.ModuleType):
    """This module. It takes the place of the one that is imported, for modules of 2.7 and 3.5 have no __getattr__."""

    def __getattr__(self, name):
        if name not in _HOMES:
            raise AttributeError('module %r has no attribute %r' % (__name__, name))
        value = getattr(importlib.import_module('%s.%s' % (__name__, _HOMES[name])), name)
        setattr(self, name, value)
        return value

    def __reduce__(self):
        # cloudpickle knows nothing but modules of the plain type.
        return importlib.import_module, (self.__name__,)

    def __dir__(self):
        return sorted(set(self.__dict__) | set(_HOMES))


def _replace():
    surface = _Surface(__name__)
    surface.__dict__.update((name, value) for name, value in globals().items() if name.startswith('_'))
    # The one that was imported must not be dropped: with it would go what the functions here refer to.
    surface._imported = sys.modules[__name__]
    sys.modules[__name__] = surface


_replace()
