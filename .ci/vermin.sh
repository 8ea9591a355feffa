#!/bin/bash
# The floor: syntax and standard library of both 2.7 and 3.5. _compat.py alone may name what 2.7 lacks.
set -e
cd "$(dirname "$0")/.."
vermin -t=2.7- -t=3.5- --no-tips --violations \
    $(find pymesos examples setup.py -name '*.py' ! -path pymesos/_compat.py)
guarded=''      # what _compat.py asks for before it uses it, or uses on 3 alone
for name in selectors time.monotonic threading.main_thread threading.TIMEOUT_MAX signal.SIG_BLOCK signal.pthread_sigmask \
    os.fsencode os.fsdecode locale.getencoding types.GenericAlias 'io.TextIOWrapper(write_through)'; do
    guarded="$guarded --exclude $name"
done
vermin -t=2.7- -t=3.5- --no-tips --violations $guarded pymesos/_compat.py
