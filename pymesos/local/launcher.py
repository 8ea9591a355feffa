"""Starts the processes of containers and tells how they end: the host's side. The processes belong to a keeper.

The keeper (:mod:`pymesos.local.keeper`) is a child process without threads that forks, reaps and kills; when the host
ends, however it ends, the keeper kills all that it started, removes what it was told to and ends too.

A container is named by a text that its owner chooses. What it is to be is told by a `spec`, a dict:

=============  ==================================================================================================
``command``    CommandInfo; only `shell`, `value` and `arguments` are looked at (PROTOCOL 5.3). Required.
``environment``  {name: text}: all that the process gets, nothing is inherited. Default {}.
``directory``  Absolute path of the sandbox. Made with its parents if it is not there, and given to `user`. Required.
``root``       The part of `directory` that is trusted: below it no symbolic link is followed when the sandbox is
               made. Default: the parent of `directory`. For a nested container: the sandbox of its executor.
``latest``     True: the symbolic link ``latest`` beside `directory` is pointed at it. Default False.
``work``       Working directory, absolute. Default `directory`.
``user``       Name of the user to run as. Default None, the user of the host. Needs root if it is another one.
``uris``       [CommandInfo.URI] to fetch into `directory` before the process starts, as `user`. Default none.
``stdout``, ``stderr``  Name of the file in `directory` to append to; None for none. Defaults 'stdout', 'stderr'.
``io``         None (files only), 'pipes' or 'tty': the standard streams are relayed; files get a copy if named. With
               'tty' all output is 'stdout'. Default None, and standard input is /dev/null.
``window``     {'rows', 'columns'} of the tty at the start. Default: that of the system.
``rlimits``    [{'type': 'RLMT_NOFILE', 'soft': n, 'hard': n}] as RLimitInfo has it; without numbers: unlimited.
``umask``      Default 0o022.
=============  ==================================================================================================

What a listener hears, on the loop's thread: ``on_started(container, pid)`` once the sandbox is made and the URIs are
fetched, and always before the process itself can have done anything; or ``on_launch_failed(container, text)``, the text
as Mesos gives it after "Failed to launch container: ". After a start: ``on_output(container, 'stdout' or 'stderr',
bytes)`` if there is `io`, ``on_fed(container, size)`` for bytes of :meth:`Launcher.feed` that the process has taken
(or will never take), and one ``on_exited(container, status)`` with the status of waitpid, after all output, when no
process of the container is left. A program that cannot be executed is no failed launch: as in Mesos its reason is
written to standard error and it exits with 1 (status 256).
"""
from __future__ import absolute_import, division, print_function
