"""Check the stubs: they agree with the library, take what a user writes, and refuse what is marked ``# wrong``."""
from __future__ import absolute_import, division, print_function

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAMPLES = os.path.join('tests', 'typing')


def run(*arguments):
    """(exit status, output) of a module of mypy's."""
    process = subprocess.run([sys.executable, '-m'] + list(arguments), cwd=ROOT, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, universal_newlines=True)
    print('$ %s -> %d' % (' '.join(arguments), process.returncode))
    return process.returncode, process.stdout


def mistakes_are_found():
    """Whether mypy complains of each line of mistakes.py that is marked, and of no other."""
    path = os.path.join(SAMPLES, 'mistakes.py')
    with open(os.path.join(ROOT, path)) as stream:
        marked = set(number for number, line in enumerate(stream, 1) if line.rstrip().endswith('# wrong'))
    _, output = run('mypy', '--strict', path)
    found = set(int(number) for number in re.findall(r'^%s:(\d+): error:' % re.escape(path), output, re.MULTILINE))
    for number in sorted(marked ^ found):
        print('%s:%d: %s' % (path, number, 'is not complained of' if number in marked else 'is complained of'))
    if marked != found:
        print(output)
    return marked == found and bool(marked)


def is_clean(*arguments):
    status, output = run(*arguments)
    print(output)
    return status == 0


def main():
    stubs = [os.path.join(folder, name) for folder, _, names in os.walk('pymesos') for name in names
             if name.endswith('.pyi')]
    results = [
        is_clean('mypy', '--strict', *sorted(stubs)),
        is_clean('mypy', '--strict', os.path.join(SAMPLES, 'sample.py')),
        is_clean('mypy.stubtest', 'pymesos', '--ignore-missing-stub', '--concise',
                 '--mypy-config-file', os.path.join('.ci', 'stubtest.ini'),
                 '--allowlist', os.path.join('.ci', 'stubtest.txt'), '--ignore-unused-allowlist'),
        mistakes_are_found(),
    ]
    return 0 if all(results) else 1


if __name__ == '__main__':
    os.chdir(ROOT)
    sys.exit(main())
