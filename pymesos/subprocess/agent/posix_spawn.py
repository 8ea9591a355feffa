"""Start a program without copying this process: by posix_spawn() of the C library.

A fork of a process of 20 MB, of which the child touches much only to throw it away, costs several times what a small
command does, and holds up all others meanwhile. Python 3.11 starts its children so itself; this is for those before.
"""
from __future__ import absolute_import, division, print_function

import ctypes
import errno
import os
import stat
import sys

__all__ = ['posix_spawn']

#: Flags, which are the same in glibc and musl.
_SETPGROUP, _SETSIGDEF = 0x02, 0x04

#: Above the size of any of the C library's structs that are filled in here: the largest has 336 bytes.
_STRUCT_SIZE = 1024

_FUNCTIONS = ('posix_spawn', 'posix_spawnattr_init', 'posix_spawnattr_destroy', 'posix_spawnattr_setflags',
              'posix_spawnattr_setpgroup', 'posix_spawnattr_setsigdefault', 'posix_spawn_file_actions_init',
              'posix_spawn_file_actions_destroy', 'posix_spawn_file_actions_adddup2',
              'posix_spawn_file_actions_addchdir_np', 'sigemptyset', 'sigaddset')


def _load():
    """The C library; None if it has not all of it: addchdir_np came with glibc 2.29 and musl 1.1.24."""
    if not sys.platform.startswith('linux'):
        return None
    library = ctypes.CDLL(None)
    return library if all(hasattr(library, name) for name in _FUNCTIONS) else None


_library = _load()


def _posix_spawn(args, executable, cwd, env, stdio, defaults):
    """Start a program as the leader of a new process group; its pid.

    All text is bytes. `executable` is looked for in the PATH of `env` (a dict; None: ours) if there is no slash in it,
    `cwd` None is ours, `stdio` are three descriptors above 2, `defaults` the signals to be put to their default. All
    other descriptors must be close-on-exec. Raises OSError with the name of the folder or file that is wrong, where one
    is.
    """
    if cwd is not None:
        _check_folder(cwd)
    attributes = ctypes.create_string_buffer(_STRUCT_SIZE)
    actions = ctypes.create_string_buffer(_STRUCT_SIZE)
    _check(_library.posix_spawnattr_init(attributes))
    try:
        _check(_library.posix_spawn_file_actions_init(actions))
        try:
            _fill_in(attributes, actions, cwd, stdio, defaults)
            return _try_all(executable, env, actions, attributes, _vector(args), _environment(env))
        finally:
            _library.posix_spawn_file_actions_destroy(actions)
    finally:
        _library.posix_spawnattr_destroy(attributes)


#: None where it cannot be done.
posix_spawn = None if _library is None else _posix_spawn


def _fill_in(attributes, actions, cwd, stdio, defaults):
    signals = ctypes.create_string_buffer(_STRUCT_SIZE)
    _library.sigemptyset(signals)
    for number in defaults:
        _library.sigaddset(signals, int(number))
    _check(_library.posix_spawnattr_setsigdefault(attributes, signals))
    _check(_library.posix_spawnattr_setpgroup(attributes, 0))
    _check(_library.posix_spawnattr_setflags(attributes, _SETPGROUP | _SETSIGDEF))
    for number, descriptor in enumerate(stdio):
        _check(_library.posix_spawn_file_actions_adddup2(actions, descriptor, number))
    if cwd is not None:
        _check(_library.posix_spawn_file_actions_addchdir_np(actions, ctypes.c_char_p(cwd)))


def _try_all(executable, env, actions, attributes, argv, envp):
    """What execvp() does, with the PATH of `env`."""
    pid = ctypes.c_int()
    first_error, error = 0, errno.ENOENT
    for path in _candidates(executable, env):
        error = _library.posix_spawn(ctypes.byref(pid), ctypes.c_char_p(path), actions, attributes, argv, envp)
        if not error:
            return pid.value
        if error not in (errno.ENOENT, errno.ENOTDIR):
            first_error = first_error or error
    _check(first_error or error, executable)


def _candidates(executable, env):
    """The paths to try, one after the other."""
    if os.path.dirname(executable):
        yield executable
        return
    if env is None:
        path = getattr(os, 'environb', os.environ).get(b'PATH')
    else:
        path = env.get(b'PATH')
    for folder in (os.defpath.encode('ascii') if path is None else path).split(b':'):
        candidate = os.path.join(folder, executable)
        # A try costs half a millisecond; what is relative is so to another folder than ours.
        if not os.path.isabs(candidate) or _may_exist(candidate):
            yield candidate


def _may_exist(path):
    try:
        os.stat(path)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR)
    return True


def _check_folder(cwd):
    """posix_spawn() does not tell which of its steps has failed."""
    number = 0
    try:
        if not stat.S_ISDIR(os.stat(cwd).st_mode):
            number = errno.ENOTDIR
        elif not os.access(cwd, os.X_OK):
            number = errno.EACCES
    except OSError as error:
        number = error.errno
    _check(number, cwd)


def _check(number, filename=None):
    if number and filename is not None:
        raise OSError(number, os.strerror(number), filename)
    if number:
        raise OSError(number, os.strerror(number))


def _vector(texts):
    return (ctypes.c_char_p * (len(texts) + 1))(*(list(texts) + [None]))


def _environment(env):
    if env is None:
        env = getattr(os, 'environb', os.environ)
    return _vector([name + b'=' + env[name] for name in env])
