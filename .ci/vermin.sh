#!/bin/bash
# The floor: syntax and standard library of both 2.7 and 3.5. _compat.py alone may name what 2.7 lacks.
set -e
cd "$(dirname "$0")/.."
vermin -t=2.7- -t=3.5- --no-tips --violations \
    $(find pymesos examples setup.py -name '*.py' ! -path pymesos/_compat.py)
vermin -t=2.7- -t=3.5- --no-tips --violations --exclude selectors --exclude time.monotonic --exclude threading.main_thread \
    pymesos/_compat.py
