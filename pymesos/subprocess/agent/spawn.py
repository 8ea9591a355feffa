"""One command: from the START message to a process, whatever this Python's Popen can or cannot do.

Errors become what the program would have seen locally.
"""
from __future__ import absolute_import, division, print_function

import errno
import grp
import json
import os
import pwd
import signal
import subprocess
import traceback

import six

from ..._compat import close_on_exec, fsencode, getfullargspec, pipe, socket_errors
from ...utils import decode_data, encode_data
from ..streams.protocol import unpack_environment

__all__ = ['NotStarted', 'Report', 'close_all_on_exec', 'describe', 'spawn']

#: Bytes of a traceback that are sent: with the rest of a report they fit into a pipe.
LONGEST_TRACEBACK = 16 * 1024

#: Letters of an exception's words, and bytes of the path that it is about: a longer one is none.
LONGEST_TEXT, LONGEST_NAME = 4096, 4096

#: What Python itself ignores and a command expects at its default.
_IGNORED_SIGNALS = [getattr(signal, name) for name in ('SIGPIPE', 'SIGXFZ', 'SIGXFSZ') if hasattr(signal, name)]

#: The names that Python 3 has for the errors of starting a command; 2.7 has OSError for all.
_ERROR_NAMES = {errno.ENOENT: 'FileNotFoundError', errno.EACCES: 'PermissionError', errno.EPERM: 'PermissionError',
                errno.ENOTDIR: 'NotADirectoryError', errno.EAGAIN: 'BlockingIOError'}

#: The status of a child whose program could not be executed. Nobody sees it.
_NOT_EXECUTED = 255


#: Whether Popen takes all that START may ask for, and copies nothing of this process, which is so from 3.11 on.
_CAN_POPEN = 'process_group' in getattr(getfullargspec(subprocess.Popen.__init__), 'kwonlyargs', ())

if _CAN_POPEN:
    posix_spawn = None
else:
    from .posix_spawn import posix_spawn


class NotStarted(Exception):
    """A command could not be started. `fields` is a dict of the members of NOT_STARTED besides the type."""

    def __init__(self, fields):
        super(NotStarted, self).__init__(fields['text'])
        self.fields = fields


class Report(object):
    """A pipe that a fork tells through what failed; it ends when the program is executed, or the fork ends."""

    def __init__(self):
        #: Never blocks; a loop may watch it.
        self.reader, self._writer = pipe()
        self._heard = b''

    def listen(self):
        """Read what has come; whether that is all."""
        while True:
            try:
                data = os.read(self.reader, 2 * LONGEST_TRACEBACK)
            except socket_errors as error:
                if error.errno == errno.EINTR:
                    continue
                if error.errno != errno.EAGAIN:
                    raise
                return False
            if not data:
                return True
            self._heard += data

    def failure(self):
        """The members of NOT_STARTED, None if nothing has failed."""
        return json.loads(self._heard.decode('ascii')) if self._heard else None

    def end_writing(self):
        """In the parent, which does not write."""
        os.close(self._writer)

    def close(self):
        """In the parent, at the end."""
        os.close(self.reader)

    def tell(self, fields):
        """In the fork."""
        os.write(self._writer, json.dumps(fields).encode('ascii'))

    def close_others(self):
        """In the fork: close everything but the standard streams and this. What it holds, nobody else can end."""
        for number in _descriptors():
            if number > 2 and number != self._writer:
                try:
                    os.close(number)
                except OSError:         # that of the listing
                    continue


class _Order(object):
    """What START asks for, decoded."""

    def __init__(self, spec):
        self.spec = spec
        self.args = [decode_data(arg) for arg in spec['args']]
        executable = _optional(spec.get('executable'))
        if spec.get('shell'):
            self.args = [executable or b'/bin/sh', b'-c'] + self.args
        #: As the user named it: what an error names, too.
        self.executable = executable or self.args[0]
        packed = spec.get('env')
        #: Whether it is what the program has itself, so that a ``preexec_fn`` may change it as it may locally.
        self.is_env_inherited = bool(spec.get('env_is_inherited'))
        #: None for that of the executor, out of which its driver took the token.
        self.env = None if packed is None else _unpacked(packed)
        if any(b'\0' in text for text in self.args + [self.executable]):
            raise ValueError('embedded null byte')
        self.cwd = _optional(spec.get('cwd'))
        if self.cwd is not None and not spec.get('cwd_must_exist') and not _may_enter(self.cwd):
            self.cwd = None             # that of the executor, which is the sandbox
        self.must_restore_signals = spec.get('restore_signals', True)
        self.is_session_new = bool(spec.get('start_new_session'))
        self.umask = spec.get('umask')
        self.group = spec.get('process_group')
        self.user_id = _user_id(spec.get('user'))
        self.group_id = _group_id(spec.get('group'))
        groups = spec.get('extra_groups')
        self.group_ids = None if groups is None else [_group_id(group) for group in groups]

    @property
    def is_simple(self):
        """Whether it asks for nothing but a program, its streams, environment, folder and signals."""
        return not self.is_session_new and all(value is None for value in (
            self.umask, self.group, self.user_id, self.group_id, self.group_ids))


def spawn(spec, code, stdio):
    """Start the command of a START message (dict): (its pid, its :class:`Report` or None).

    `code` is the pickled ``preexec_fn`` (bytes) or None, `stdio` the descriptors of its standard streams, above 2. With
    a report, which is there if a fork is on its way to execute the program, and runs `code` before, it is not yet known
    whether that can be done; without, it is done. The process leads a group of its own unless START or `code` puts it
    elsewhere, and the caller has to wait for it. Raises :class:`NotStarted`.
    """
    try:
        order = _Order(spec)
        if code is None and _CAN_POPEN:
            return _popen(order, stdio), None
        if code is None and posix_spawn is not None and order.is_simple:
            return posix_spawn(order.args, order.executable, order.cwd, order.env, stdio,
                               _IGNORED_SIGNALS if order.must_restore_signals else ()), None
        return _fork(order, code, stdio)
    except Exception as error:          # whatever it is, the program is told
        raise NotStarted(describe(error))


def _popen(order, stdio):
    options = {'restore_signals': order.must_restore_signals, 'start_new_session': order.is_session_new,
               'user': order.user_id, 'group': order.group_id, 'extra_groups': order.group_ids}
    if order.umask is not None:
        options['umask'] = order.umask
    if order.group is not None or not order.is_session_new:
        options['process_group'] = order.group or 0
    process = subprocess.Popen(order.args, executable=order.executable, cwd=order.cwd, env=order.env, stdin=stdio[0],
                               stdout=stdio[1], stderr=stdio[2], **options)
    # It is not this object that waits for the process, and it must not complain of it.
    process.returncode = 0
    return process.pid


# ---- by hand

def _fork(order, code, stdio):
    loads = None
    if code is not None:
        import pickle                   # seldom needed; and not in the fork, where its locks could be held for ever
        loads = pickle.loads
    report = Report()
    try:
        pid = os.fork()
    except Exception:
        report.end_writing()
        report.close()
        raise
    if not pid:
        try:
            _become(order, code, loads, stdio, report)
        finally:
            os._exit(_NOT_EXECUTED)
    report.end_writing()
    return pid, report


def _become(order, code, loads, stdio, report):
    """All that a fork does, in the order of the standard library. It takes no lock of ours."""
    culprit = None
    try:
        parents_group = os.getpgrp()
        _forget_handlers()
        for number, descriptor in enumerate(stdio):
            os.dup2(descriptor, number)
        report.close_others()
        if order.cwd is not None:
            culprit = order.cwd
            os.chdir(order.cwd)
            culprit = None
        _change_self(order, code is not None)
        if code is not None:
            if order.is_env_inherited and order.env is not None:
                _take_on(order.env)
                order.env = None
            if not _call_user(loads, code, report):
                return
            if order.group is None and os.getpgrp() == parents_group:
                os.setpgid(0, 0)
            report.close_others()
        culprit = order.executable
        if order.env is None:
            os.execvp(order.executable, order.args)     # with what os.putenv has done, too
        os.execvpe(order.executable, order.args, order.env)
    except BaseException as error:
        report.tell(describe(error, culprit))


def _change_self(order, has_code):
    if order.umask is not None:
        os.umask(order.umask)
    if order.must_restore_signals:
        for number in _IGNORED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
    if order.is_session_new:
        os.setsid()
    if order.group is not None:
        os.setpgid(0, order.group)
    elif not order.is_session_new and not has_code:     # which may want to call setsid(), and a leader cannot
        os.setpgid(0, 0)
    if order.group_ids is not None:
        os.setgroups(order.group_ids)
    if order.group_id is not None:
        os.setregid(order.group_id, order.group_id)
    if order.user_id is not None:
        os.setreuid(order.user_id, order.user_id)


def _take_on(env):
    """Make `env` (bytes) that of this process."""
    ours = getattr(os, 'environb', os.environ)
    ours.clear()
    ours.update(env)


def _call_user(loads, code, report):
    """Call ``preexec_fn``; whether it returned."""
    try:
        loads(code)()
    except BaseException as error:
        fields = describe(error)
        fields.update(exception='SubprocessError', text='Exception occurred in preexec_fn.', errno=None,
                      strerror=None, filename=None)
        report.tell(fields)
        return False
    return True


def _forget_handlers():
    """A signal to a child whose ``preexec_fn`` takes long must neither run a handler of ours nor wake our loop."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


def close_all_on_exec():
    """Mark all descriptors but the standard streams to be closed in programs that are executed."""
    for number in _descriptors():
        if number > 2:
            try:
                close_on_exec(number)
            except (IOError, OSError):  # that of the listing
                continue


def _descriptors():
    try:
        return [int(name) for name in os.listdir('/dev/fd')]
    except OSError:
        return list(range(os.sysconf('SC_OPEN_MAX')))


# ---- what is wrong

def describe(error, culprit=None):
    """The members of NOT_STARTED for an exception that is being handled.

    `culprit` (bytes) is the folder or file that it is about; without, it may say so itself.
    """
    number = strerror = filename = None
    name, text = type(error).__name__, _words(error)
    if isinstance(error, EnvironmentError) and error.errno:
        number, filename = error.errno, culprit or error.filename
        strerror = os.strerror(number)          # 3.6 puts the name of the file there as well
        name = _ERROR_NAMES.get(number, name)
        text = u'[Errno %d] %s' % (number, strerror)
        if filename is not None:
            filename = fsencode(filename)[:LONGEST_NAME]
            text = u"%s: '%s'" % (text, filename.decode('utf-8', 'replace'))
            filename = encode_data(filename)
    told = traceback.format_exc()
    if isinstance(told, bytes):
        told = told.decode('utf-8', 'replace')
    return {'exception': name, 'errno': number, 'strerror': strerror, 'filename': filename, 'text': text[:LONGEST_TEXT],
            'traceback': told[-LONGEST_TRACEBACK:]}


def _words(error):
    try:
        return u'%s' % (error,)
    except UnicodeError:                # bytes on 2.7
        return u'%r' % (error,)


# ---- what is asked for

def _may_enter(folder):
    return os.path.isdir(folder) and os.access(folder, os.X_OK)


# The latest environment: (packed, the dict of it). Most commands have that of the one before.
_latest = None, None


def _unpacked(packed):
    """The environment (bytes, not to be changed) that is packed in a START message."""
    global _latest
    known, env = _latest
    if packed != known or env is None:
        env = unpack_environment(packed)
        _latest = packed, env
    return env


def _optional(data):
    return None if data is None else decode_data(data)


def _user_id(user):
    return pwd.getpwnam(str(user)).pw_uid if isinstance(user, six.string_types) else user


def _group_id(group):
    return grp.getgrnam(str(group)).gr_gid if isinstance(group, six.string_types) else group
