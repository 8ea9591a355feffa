"""The standard library's subprocess, on a cluster: runs commands where MESOS_MASTER says, or on this machine."""
from __future__ import absolute_import, division, print_function

from pymesos.subprocess import PIPE, CalledProcessError, Popen, check_output, run

# Resources are said where the defaults, one processor and 1 GiB, are too much or too little.
process = Popen(['sort', '-n'], stdin=PIPE, stdout=PIPE, cpus=0.1, mem=64)
output, _ = process.communicate(b'10\n9\n1\n')
print('sorted on %s: %s' % (process.hostname, output.decode().split()))

print('sum:', check_output('echo $((1 + 2))', shell=True, text=True, cpus=0.1, mem=64).strip())

done = run(['tr', 'a-z', 'A-Z'], input='a text', text=True, stdout=PIPE, cpus=0.1, mem=64)
print('done:', done.returncode, done.stdout)

try:
    run(['sh', '-c', 'exit 3'], check=True, cpus=0.1, mem=64)
except CalledProcessError as error:
    print(error)
try:
    Popen(['no-such-command'], cpus=0.1, mem=64)
except OSError as error:            # on Python 3 a FileNotFoundError
    print('not started:', error.strerror)
