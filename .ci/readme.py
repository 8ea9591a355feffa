"""Run the commands of the README's first lines as they stand there, in the environment that is active.

The test command first. Then the first one, which runs copies of a command, on an embedded cluster and on a real Mesos.
The last one runs a framework on an embedded cluster, and then, with its master in the place of ``local``, on Mesos.
"""
from __future__ import absolute_import, division, print_function

import os
import re
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MASTER = ' local'               # what the example is told, and ends with
COPIES = 'pymesos run -n 4'      # the beginning of the first
DEADLINE = 900                  # seconds for one command

sys.path.insert(0, os.path.join(ROOT, 'tests', 'mesos'))


def commands():
    """(the command that runs commands, the one that runs an example, the one that runs the tests)."""
    with open(os.path.join(ROOT, 'README.md')) as stream:
        found = re.findall(r'^    (pip install .*)$|^(pip install .*)$', stream.read(), re.MULTILINE)
    lines = [indented or plain for indented, plain in found]
    examples = [line for line in lines if line.endswith(MASTER)]
    tests = [line for line in lines if 'pytest' in line]
    if not lines or COPIES not in lines[0] or len(examples) != 1 or len(tests) != 1:
        sys.exit('README.md should begin with %s and have one command that ends with%s and one with pytest: %s'
                 % (COPIES, MASTER, lines))
    return lines[0], examples[0], tests[0]


def run(command, promise):
    """The exit status of a command; 1 if its output lacks the text `promise`."""
    print('$ ' + command)
    start = time.time()
    process = subprocess.run(['bash', '-ec', command], cwd=ROOT, timeout=DEADLINE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    output = process.stdout.decode('utf-8', 'replace')
    print('%s-> %d after %d s' % (output, process.returncode, time.time() - start))
    if promise not in output:
        print('error: the output has no %r' % promise)
        return process.returncode or 1
    return process.returncode


def main():
    copies, example, tests = commands()
    names = '\n'.join([socket.gethostname()] * 4)
    statuses = [run(tests, ' passed'), run(copies, names), run(example, 'hello TASK_FINISHED')]
    from real_mesos import RealMesos
    with RealMesos(agents=1) as cluster:
        statuses.append(run(copies.replace(COPIES, COPIES + ' --master ' + cluster.master), names))
        statuses.append(run(example[:-len(MASTER)] + ' ' + cluster.master, 'hello TASK_FINISHED'))
    return max(statuses)


if __name__ == '__main__':
    sys.exit(main())
