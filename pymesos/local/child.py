"""What a forked child does before it becomes the process of a container: sandbox, streams, user, URIs, exec."""
from __future__ import absolute_import, division, print_function

import errno
import fcntl
import os
import pwd
import resource
import signal
import stat
import termios

__all__ = ['READY', 'REFUSED', 'Refused', 'enter', 'leave_keeper', 'open_log', 'run', 'to_bytes']

#: What the child writes into its channel: either a byte that says that it is ready (it then waits for one to go on),
#: or a byte that says that it gives up, and why.
READY, REFUSED = b'R', b'F'

#: Bytes of memory that fetching and unpacking may take, with all that Python has.
FETCH_MEMORY = 4 * 1024 ** 3

UMASK = 0o022
PARENT_MODE, SANDBOX_MODE, FILE_MODE = 0o755, 0o750, 0o644


class Refused(Exception):
    """The process cannot be started; the text says why, as Mesos does."""


def run(spec, name, channel, streams):
    """Become the process of a container, or tell why not; never returns.

    `spec` is that of :mod:`pymesos.local.launcher`, `name` the container's; `channel` a descriptor to the keeper;
    `streams` the descriptors for standard input, output and error, each None if a file, or nothing, stands there.
    """
    try:
        leave_keeper(channel, streams)
        _prepare(spec, name, streams)
        os.write(channel, READY)
        if os.read(channel, 1):         # else the keeper is gone
            _execute(spec)
    except Refused as refusal:
        os.write(channel, REFUSED + to_bytes(refusal.args[0]))
    except BaseException as error:      # whatever it is, the copy of the keeper must not run on
        os.write(channel, REFUSED + to_bytes('Failed to start the process: %s: %s' % (type(error).__name__, error)))
    finally:
        os._exit(1)


def to_bytes(text):
    """Text as the system takes it, whatever the locale is."""
    return text if isinstance(text, bytes) else text.encode('utf-8', 'surrogateescape')


def leave_keeper(channel, streams):
    """A session of its own, signals as at birth, and no descriptor but its own."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        # None: it was not set from Python.
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    os.setsid()
    keep = set([channel] + [stream for stream in streams if stream is not None])
    for number in open_descriptors():
        if number > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:             # the one that the list was read with
                pass
    fcntl.fcntl(channel, fcntl.F_SETFD, fcntl.FD_CLOEXEC)


def open_descriptors():
    """The numbers of all open descriptors, perhaps of some that are not open."""
    for folder in ('/proc/self/fd', '/dev/fd'):
        try:
            return [int(name) for name in os.listdir(folder)]
        except OSError:
            continue
    return range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _prepare(spec, name, streams):
    os.umask(spec.get('umask', UMASK))
    directory = to_bytes(spec['directory'])
    if spec.get('make', True):
        user = _make_sandbox(spec, directory)
        for volume in spec.get('volumes') or ():
            _link_volume(volume, user)
    else:
        user = _find_user(spec.get('user'))
        os.chdir(directory)
    _set_streams(spec, streams, user)
    _set_limits(spec.get('rlimits') or ())
    if user is not None and user.pw_uid != os.geteuid():
        _become(user)
    if spec.get('uris'):
        _fetch(spec['uris'], directory, name)
    if spec.get('work'):
        try:
            os.chdir(to_bytes(spec['work']))
        except OSError as error:
            raise Refused("Failed to chdir into current working directory '%s': %s"
                          % (spec['work'], os.strerror(error.errno)))


# ---- the sandbox

def _make_sandbox(spec, directory):
    """Make the sandbox and enter it; the entry of the user that it now belongs to, or None."""
    try:
        return _try_to_make_sandbox(spec, directory)
    except Refused as refusal:
        raise Refused("Failed to create %s '%s': %s"
                      % (spec.get('title') or 'executor directory', spec['directory'], refusal.args[0]))


def _try_to_make_sandbox(spec, directory):
    try:
        enter(directory, to_bytes(spec.get('root') or os.path.dirname(directory)))
        if spec.get('latest'):
            _point_latest(directory)
        os.chmod(b'.', SANDBOX_MODE)
    except OSError as error:
        raise Refused('Failed to create directory: %s' % os.strerror(error.errno))
    name = spec.get('user')
    try:
        user = _find_user(name)
        if user is not None:
            os.chown(b'.', user.pw_uid, user.pw_gid)
    except Refused as refusal:
        raise Refused("Failed to chown directory to '%s': %s" % (name, refusal.args[0]))
    except OSError as error:
        raise Refused("Failed to chown directory to '%s': %s" % (name, os.strerror(error.errno)))
    return user


def enter(directory, root):
    """Make `directory` and be in it; below `root` no step may be a symbolic link."""
    if not os.path.isdir(root):
        try:
            os.makedirs(root, PARENT_MODE)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
    os.chdir(root)
    steps = os.path.relpath(directory, root).split(b'/')
    if b'..' in steps:
        raise OSError(errno.EINVAL, 'not below %r' % root)
    for step in steps:
        if step == b'.':
            continue
        try:
            os.mkdir(step, PARENT_MODE)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        folder = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchdir(folder)
        finally:
            os.close(folder)


def _point_latest(directory):
    folder = os.path.dirname(directory)
    link = os.path.join(folder, b'.latest.' + str(os.getpid()).encode('ascii'))
    os.symlink(directory, link)
    os.rename(link, os.path.join(folder, b'latest'))


def _link_volume(volume, user):
    """Make the folder of a persistent volume, if it is new, and a link to it in the sandbox."""
    from .sandbox import Escape, split_name
    source = to_bytes(volume['source'])
    try:
        steps = split_name(volume['path'])
        if not os.path.isdir(source):
            os.makedirs(source, PARENT_MODE)
        if user is not None and os.geteuid() == 0:
            os.chown(source, user.pw_uid, user.pw_gid)
        sandbox = os.open(b'.', os.O_RDONLY)
        try:
            if len(steps) > 1:
                enter(os.path.join(b'.', *steps[:-1]), b'.')
            os.symlink(source, steps[-1] if steps else b'.')
        finally:
            os.fchdir(sandbox)
            os.close(sandbox)
    except Escape as error:
        raise Refused('Failed to link a volume: %s' % error)
    except OSError as error:
        raise Refused("Failed to link volume '%s': %s" % (volume['path'], os.strerror(error.errno)))


def _find_user(name):
    if not name:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise Refused("No such user '%s'" % name)


# ---- streams, limits, user

def _set_streams(spec, streams, user):
    """Put the standard streams in their places; called in the sandbox."""
    null = os.open(os.devnull, os.O_RDWR)
    chosen = [streams[0]]
    for stream, key in zip(streams[1:], ('stdout', 'stderr')):
        name = spec.get(key, key)
        log = None if name is None else open_log(to_bytes(name), user)
        if stream is not None and log is not None:      # made for the keeper, which writes a copy
            os.close(log)
        chosen.append(log if stream is None else stream)
    chosen = [null if number is None else number for number in chosen]
    is_tty = spec.get('io') == 'tty'
    for place, number in enumerate(chosen):
        os.dup2(number, place)
    for number in set(chosen + [null]):
        os.close(number)
    if is_tty:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def open_log(name, user=None):
    """A descriptor to append to a file of the working directory: a plain file, and nothing that leads elsewhere."""
    if b'/' in name or name in (b'', b'.', b'..'):
        raise Refused('%r is no name of a file in a sandbox' % name)
    # O_NONBLOCK: a FIFO that somebody has put there must not hold us up.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        number = os.open(name, flags, FILE_MODE)
    except OSError as error:
        raise Refused("Failed to open '%s': %s" % (name.decode('utf-8', 'replace'), os.strerror(error.errno)))
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(number)
        raise Refused("Failed to open '%s': it is no plain file" % name.decode('utf-8', 'replace'))
    if user is not None and os.geteuid() == 0:
        os.fchown(number, user.pw_uid, user.pw_gid)
    fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    return number


def _set_limits(limits):
    for limit in limits:
        kind = limit.get('type', '')
        number = getattr(resource, kind.replace('RLMT_', 'RLIMIT_', 1), None) if kind.startswith('RLMT_') else None
        if number is None:
            raise Refused("Failed to set '%s' limit: it is unknown here" % kind)
        soft, hard = (limit.get(key, resource.RLIM_INFINITY) for key in ('soft', 'hard'))
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError, resource.error) as error:
            raise Refused("Failed to set '%s' limit: %s" % (kind, error))


def _become(user):
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as error:
        raise Refused("Failed to change user to '%s': %s" % (user.pw_name, os.strerror(error.errno)))


# ---- the last steps

def _fetch(uris, directory, name):
    from . import fetcher               # takes a while to import, and few need it
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        # An archive may say of its parts that they are as large as it likes.
        resource.setrlimit(resource.RLIMIT_AS, (_least(soft, FETCH_MEMORY), hard))
        fetcher.fetch(uris, directory, _complain)
    except (fetcher.FetchError, MemoryError) as error:
        _complain(str(error) or 'Failed to fetch: out of memory')
        # Mesos' fetcher is a program of its own; this is what the agent says of it.
        raise Refused("Failed to fetch all URIs for container '%s': exited with status 1" % name)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _least(one, other):
    return other if one == resource.RLIM_INFINITY else min(one, other)


def _complain(text):
    os.write(2, to_bytes(text) + b'\n')


def _execute(spec):
    """Become the program; if it cannot be, exit as Mesos' launcher does."""
    command = spec['command']
    environment = dict((to_bytes(name), to_bytes(value)) for name, value in (spec.get('environment') or {}).items())
    value = to_bytes(command.get('value') or '')
    try:
        if command.get('shell', True):
            os.execve(b'/bin/sh', [b'sh', b'-c', value], environment)
        arguments = [to_bytes(argument) for argument in command.get('arguments') or ()]
        os.execvpe(value, arguments or [value], environment)
    except EnvironmentError as error:
        _complain('Failed to execute command: %s' % os.strerror(error.errno))
    except (TypeError, ValueError) as error:        # a NUL in it
        _complain('Failed to execute command: %s' % error)
