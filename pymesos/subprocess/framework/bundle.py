"""What the program sends to agents that have nothing but a Python: itself in a zip, and how an agent runs it."""
from __future__ import absolute_import, division, print_function

import hashlib
import io
import os
import sys
import zipfile
from collections import namedtuple

from six.moves import shlex_quote

from ... import errors
from ..._compat import PYTHON
from ...errors import UsageError

__all__ = ['Bundle', 'bundle', 'command_line', 'installed_command_line', 'pack']

#: Folders of pymesos that no executor needs.
LEFT_OUT = ('local', 'testing', '__pycache__')

#: What pymesos imports besides the standard library: what must be there, and what some of it, or of a program's own
#: preexec_fn, wants where it is installed.
NEEDED = ('six', 'addict', 'h11')
WANTED = ('selectors2', 'monotonic', 'typing_extensions', 'dataclasses', 'cloudpickle', 'pickle5')

#: Of the packages among these, folders that are left out.
TESTS = ('tests', '__pycache__')

#: The date of all files, so that the same files make the same zip: the first that there is.
DATE = (1980, 1, 1, 0, 0, 0)

MAIN = 'pymesos.subprocess.executor'

#: Run on the agent with the digest and the name of the file: checks what was fetched before anything of it is used.
BOOTSTRAP = """\
import hashlib,os,sys
d,p=sys.argv[1],os.path.abspath(os.path.join(os.environ.get("MESOS_SANDBOX",""),sys.argv[2]))
f=open(p,"rb");s=f.read();f.close()
if hashlib.sha256(s).hexdigest()!=d:sys.exit("pymesos: %s is not what the program has sent"%p)
sys.path[:1]=[p]+[e for e in sys.path[:1] if e];sys.argv[1:]=[]
import runpy;runpy.run_module("{main}",run_name="__main__",alter_sys=True)
""".format(main=MAIN)

#: The same where pymesos is installed. Not -m, which would look for modules in the sandbox first: commands write there.
INSTALLED = """\
import sys
sys.path[:1]=[e for e in sys.path[:1] if e]
import runpy;runpy.run_module("{main}",run_name="__main__",alter_sys=True)
""".format(main=MAIN)

#: Tries Pythons in turn. What is just called python may be any: it is asked for its major version.
LAUNCH = """\
for p in {candidates}; do command -v "$p" >/dev/null 2>&1 || continue; \
[ "$p" != python ] || "$p" -c 'import sys; sys.exit(sys.version_info[0] != {major})' || continue; \
exec "$p" {arguments}; done; \
echo 'pymesos: there is no Python here; tried: {tried}' >&2; exit 127"""

#: `data` (bytes) is a zip with the sha256 `digest` (hexadecimal), to be called `name`.
Bundle = namedtuple('Bundle', 'data digest name')

# The one of this process. Without a lock, which a forked child could find taken: two that are made at once are equal.
_made = []


def bundle():
    """The :class:`Bundle` of this installation, made once. Raises :class:`UsageError` if its files are not there."""
    if not _made:
        _made.append(pack(_sources()))
    return _made[0]


def pack(sources):
    """A :class:`Bundle` of `sources`, a dict of names in the zip to bytes; equal ones make equal zips."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(sources):
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3          # Unix, also where it is not
            info.external_attr = 0o644 << 16
            archive.writestr(info, sources[name])
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    return Bundle(data, digest, 'pymesos-%s.zip' % digest[:16])


def _sources():
    home = os.path.dirname(os.path.abspath(errors.__file__))
    found = _read_tree(home, 'pymesos', LEFT_OUT)
    for name in NEEDED + WANTED:
        path = _find(name)
        if path is None:
            if name in NEEDED:
                raise UsageError('cannot send the executor to agents: the files of %s are not where they could be '
                                 'read; see use_installed_executor' % name)
        elif os.path.isdir(path):
            found.update(_read_tree(path, name, TESTS))
        else:
            found[name + '.py'] = _read(path)
    if 'pymesos/__init__.py' not in found:
        raise UsageError('cannot send the executor to agents: pymesos itself is not in files (%s); see '
                         'use_installed_executor' % home)
    return found


def _find(name):
    """The file or the folder of a module that can be imported and is no part of Python, else None."""
    try:
        module = __import__(name)
    except (ImportError, SyntaxError):      # SyntaxError: installed for another Python
        return None
    path = os.path.abspath(getattr(module, '__file__', None) or '')
    if path.endswith(('.pyc', '.pyo')):
        path = path[:-1]
    if not path.endswith('.py') or not os.path.isfile(path):
        return None
    folder, base = os.path.split(path)
    if base == '__init__.py':
        path, folder = folder, os.path.dirname(folder)
    return None if folder == os.path.dirname(os.path.abspath(os.__file__)) else path


def _read_tree(folder, name, left_out):
    found = {}
    for here, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if one not in left_out]
        inside = os.path.relpath(here, folder)
        for base in files:
            if base.endswith('.py'):
                parts = [name] + ([] if inside == os.curdir else inside.split(os.sep)) + [base]
                found['/'.join(parts)] = _read(os.path.join(here, base))
    return found


def _read(path):
    with open(path, 'rb') as stream:
        return stream.read()


def command_line(python, made):
    """What the agent's shell runs in a sandbox that has the :class:`Bundle` `made`; `python` goes before what it is
    likely to have (None: this program's own)."""
    arguments = '-c %s %s %s' % (shlex_quote(BOOTSTRAP), made.digest, made.name)
    return _launch(python, arguments)


def installed_command_line(python):
    """The same where agents have pymesos installed."""
    return _launch(python, '-c %s' % shlex_quote(INSTALLED))


def _launch(python, arguments):
    major, minor = PYTHON
    likely = [sys.executable or '', 'python%d.%d' % (major, minor), 'python%d' % major, 'python']
    # One that is configured is the only one: another would hide that it is missing.
    candidates = [python] if python else [name for number, name in enumerate(likely)
                                          if name and name not in likely[:number]]
    return LAUNCH.format(candidates=' '.join(shlex_quote(name) for name in candidates), major=major,
                         arguments=arguments, tried=' '.join(candidates).replace("'", ''))
