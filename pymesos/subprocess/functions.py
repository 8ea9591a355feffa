"""The functions round Popen: run, call, check_call, check_output, getstatusoutput, getoutput, list2cmdline."""
from __future__ import absolute_import, division, print_function

import re

from .. import subprocess as surface
from .._compat import PY2, class_getitem, fsdecode
from .errors import CalledProcessError, TimeoutExpired
from .files import PIPE, STDOUT

__all__ = ['CompletedProcess', 'call', 'check_call', 'check_output', 'getoutput', 'getstatusoutput', 'list2cmdline',
           'run']

# Popen is looked up in the package each time: who puts another in its place, as tests do, means all of these.


class CompletedProcess(object):
    """A command that has run: `args`, `returncode` (negative for a signal), `stdout`, `stderr` (None: not captured)."""

    def __init__(self, args, returncode, stdout=None, stderr=None):
        self.args = args
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr

    def __repr__(self):
        facts = ['args=%r' % (self.args,), 'returncode=%r' % (self.returncode,)]
        facts += ['%s=%r' % (name, getattr(self, name)) for name in ('stdout', 'stderr')
                  if getattr(self, name) is not None]
        return '%s(%s)' % (type(self).__name__, ', '.join(facts))

    if class_getitem is not None:
        __class_getitem__ = class_getitem

    def check_returncode(self):
        """Raise :class:`CalledProcessError` unless the return code is 0."""
        if self.returncode:
            raise CalledProcessError(self.returncode, self.args, self.stdout, self.stderr)


def run(*popenargs, **kwargs):
    """Run a command to its end; returns a :class:`CompletedProcess`.

    :param input: what to write to its standard input; then `stdin` cannot be given
    :param capture_output: gather stdout and stderr, which cannot be given then
    :param timeout: seconds after which it is killed, and :class:`TimeoutExpired` raised with what came so far
    :param check: raise :class:`CalledProcessError` if it returns non-zero

    All other arguments and errors are those of :class:`Popen`.
    """
    data, timeout = kwargs.pop('input', None), kwargs.pop('timeout', None)
    is_captured, is_checked = kwargs.pop('capture_output', False), kwargs.pop('check', False)
    if data is not None:
        if kwargs.get('stdin') is not None:
            raise ValueError('stdin and input arguments may not both be used.')
        kwargs['stdin'] = PIPE
    if is_captured:
        if kwargs.get('stdout') is not None or kwargs.get('stderr') is not None:
            raise ValueError('stdout and stderr arguments may not be used with capture_output.')
        kwargs['stdout'] = kwargs['stderr'] = PIPE
    with surface.Popen(*popenargs, **kwargs) as process:
        try:
            stdout, stderr = process.communicate(data, timeout=timeout)
        except TimeoutExpired:
            process.kill()
            process.wait()
            raise
        except BaseException:           # KeyboardInterrupt; leaving the block waits
            process.kill()
            raise
        returncode = process.poll()
        if is_checked and returncode:
            raise CalledProcessError(returncode, process.args, output=stdout, stderr=stderr)
    return CompletedProcess(process.args, returncode, stdout, stderr)


def call(*popenargs, **kwargs):
    """Run a command to its end; returns its return code. After `timeout` seconds it is killed: TimeoutExpired."""
    timeout = kwargs.pop('timeout', None)
    with surface.Popen(*popenargs, **kwargs) as process:
        try:
            return process.wait(timeout=timeout)
        except BaseException:           # KeyboardInterrupt; leaving the block waits
            process.kill()
            raise


def check_call(*popenargs, **kwargs):
    """As :func:`call`, but anything but 0 is a :class:`CalledProcessError`."""
    returncode = call(*popenargs, **kwargs)
    if returncode:
        raise CalledProcessError(returncode, kwargs.get('args') or popenargs[0])
    return 0


def check_output(*popenargs, **kwargs):
    """Run a command and return what it wrote to stdout; a return code but 0 is a :class:`CalledProcessError`.

    Takes `input` and `timeout` as :func:`run` does.
    """
    for name in ('stdout', 'check'):
        if name in kwargs:
            raise ValueError('%s argument not allowed, it will be overridden.' % name)
    if 'input' in kwargs and kwargs['input'] is None:
        # So it was before there was run(): an empty input, not the program's own.
        is_text = any(kwargs.get(name) for name in ('universal_newlines', 'text', 'encoding', 'errors'))
        kwargs['input'] = '' if is_text else b''
    return run(*popenargs, stdout=PIPE, check=True, **kwargs).stdout


def getstatusoutput(cmd, encoding=None, errors=None):
    """Run `cmd` in a shell; returns (return code, what it wrote to stdout and stderr, less one newline at the end)."""
    try:
        returncode, output = 0, check_output(cmd, shell=True, text=True, stderr=STDOUT, encoding=encoding,
                                             errors=errors)
    except CalledProcessError as error:
        returncode, output = error.returncode, error.output
    return returncode, output[:-1] if output.endswith('\n') else output


def getoutput(cmd, encoding=None, errors=None):
    """The output of :func:`getstatusoutput`."""
    return getstatusoutput(cmd, encoding=encoding, errors=errors)[1]


def list2cmdline(seq):
    """One text of all arguments, quoted as the C runtime of Windows reads them."""
    return ' '.join(_quoted(arg if PY2 else fsdecode(arg)) for arg in seq)


def _quoted(arg):
    # Backslashes mean themselves, but those before a quotation mark are doubled, and the mark gets one.
    arg = re.sub(r'(\\*)"', r'\1\1\\"', arg)
    if arg and ' ' not in arg and '\t' not in arg:
        return arg
    return '"%s"' % re.sub(r'(\\+)\Z', r'\1\1', arg)
