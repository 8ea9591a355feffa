"""Check what is in the wheel: check_wheel.py CHECKOUT WHEEL."""
from __future__ import absolute_import, division, print_function

import os
import sys
import zipfile


def package_files(checkout):
    """What of the checkout belongs into the wheel."""
    for folder, _, names in os.walk(os.path.join(checkout, 'pymesos')):
        for name in names:
            if name == 'py.typed' or name.endswith(('.py', '.pyi')):
                yield os.path.relpath(os.path.join(folder, name), checkout)


def faults(checkout, wheel):
    if not wheel.endswith('-py2.py3-none-any.whl'):
        yield 'the wheel is not universal: %s' % os.path.basename(wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = [name.split('/')[0] for name in names if name.endswith('.dist-info/WHEEL')][0]
        tags = archive.read(info + '/WHEEL').decode('utf-8')
        metadata = archive.read(info + '/METADATA').decode('utf-8')
    for tag in ('py2-none-any', 'py3-none-any'):
        if 'Tag: %s\n' % tag not in tags.replace('\r', ''):
            yield 'no tag %s in %s' % (tag, tags)
    wanted = set(package_files(checkout))
    held = set(name for name in names if not name.startswith(info))
    for name in sorted(wanted - held):
        yield '%s is missing' % name
    for name in sorted(held - wanted):
        yield '%s does not belong there' % name
    if 'pymesos/py.typed' not in held:
        yield 'there is no py.typed'
    for text in ('\nRequires-Python: >=2.7', '\nLicense: BSD-3-Clause', '\nProvides-Extra: speed',
                 '\nProvides-Extra: zookeeper', '\nProvides-Extra: cloudpickle', '\nProvides-Extra: test'):
        if text not in metadata:
            yield 'the metadata lack %r' % text.strip()
    if not any('/licenses/LICENSE' in name or name.endswith('/LICENSE') for name in names):
        yield 'the licence is missing'


def main(checkout, wheel):
    found = list(faults(checkout, wheel))
    for text in found:
        print('%s: %s' % (os.path.basename(wheel), text))
    print('%s: %s' % (os.path.basename(wheel), 'wrong' if found else 'as it should be'))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
