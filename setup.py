"""Packaging of pymesos: pure Python, one wheel for 2.7 and 3.5 up."""
from __future__ import absolute_import, division, print_function

import io
import os
import re

from setuptools import find_packages, setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*names):
    with io.open(os.path.join(HERE, *names), encoding='utf-8') as stream:
        return stream.read()


def version():
    """The version, read as text: an import would need the dependencies, which pip has yet to install."""
    found = re.search(r"^__VERSION__ = __version__ = '([^']+)'$|^__version__ = '([^']+)'$",
                      read('pymesos', '__init__.py'), re.MULTILINE)
    if found is None:
        raise RuntimeError("pymesos/__init__.py has no line __version__ = '...'")
    return found.group(1) or found.group(2)


INSTALL = [
    'six>=1.10; python_version < "3.12"',
    # Older ones have no six.moves there.
    'six>=1.16; python_version >= "3.12"',
    'addict>=2.1',
    # The newest that runs there. Releases say so themselves, but pip before 21 stops at the newest one that an
    # index without that data shows; and 0.13 wants more packages before 3.8.
    'h11>=0.9,<0.12; python_version < "3.6"',
    'h11>=0.9,<0.13; python_version == "3.6"',
    'h11>=0.9,<1; python_version > "3.6"',
    'selectors2>=2.0; python_version < "3"',
    'monotonic>=1.5; python_version < "3"',
    # The progress bar of `pymesos run`. Later ones want more packages before 3.7.
    'tqdm>=4.58,<4.63; python_version < "3.7"',
    'tqdm>=4.58,<5; python_version >= "3.7"',
]

SPEED = [
    'orjson>=3.6,<4; python_version >= "3.8" and platform_python_implementation == "CPython"',
    'httptools>=0.4,<1; python_version >= "3.6" and platform_python_implementation == "CPython"',
    # Needs a C compiler; cannot be built on 3.11 and later.
    'http-parser>=0.8.3,<0.10; python_version < "3.6" and platform_python_implementation == "CPython"',
]

ZOOKEEPER = [
    # 2.11's wheel says py2 and does not import there.
    'kazoo>=2.5,<2.10; python_version < "3"',
    'kazoo>=2.5,<3; python_version >= "3"',
]

# For a preexec_fn of pymesos.subprocess that pickle does not take. Each the newest that runs there.
CLOUDPICKLE = [
    'cloudpickle>=1.2,<1.4; python_version < "3"',
    'cloudpickle>=1.2,<1.7; python_version >= "3" and python_version < "3.6"',
    'cloudpickle>=1.2,<2.3; python_version >= "3.6" and python_version < "3.8"',
    'cloudpickle>=1.2,<4; python_version >= "3.8"',
]

TEST = ZOOKEEPER + CLOUDPICKLE + [
    'pytest>=4.6',
    'pytest-timeout>=1.4',
    # From 4.45 on, the last releases for 2.7 may optimise one example for minutes.
    'hypothesis>=4.40,<4.45; python_version < "3"',
    'hypothesis>=4.57; python_version >= "3"',
    'responses>=0.10',
    'mock>=3; python_version < "3"',
]

setup(
    name='pymesos',
    version=version(),
    description='Apache Mesos frameworks in pure Python: schedulers, executors and operators',
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='BSD-3-Clause',
    license_files=['LICENSE'],
    packages=find_packages(include=['pymesos', 'pymesos.*']),
    package_data={'': ['py.typed', '*.pyi']},
    zip_safe=False,
    python_requires='>=2.7,!=3.0.*,!=3.1.*,!=3.2.*,!=3.3.*,!=3.4.*',
    install_requires=INSTALL,
    extras_require={'speed': SPEED, 'zookeeper': ZOOKEEPER, 'cloudpickle': CLOUDPICKLE, 'test': TEST},
    # What 'universal' did before setuptools deprecated the word.
    options={'bdist_wheel': {'python_tag': 'py2.py3'}},
    entry_points={'console_scripts': ['pymesos = pymesos.cli:main']},
    keywords='mesos framework scheduler executor cluster',
    classifiers=[
        'Development Status :: 5 - Production/Stable',
        'Intended Audience :: Developers',
        'Operating System :: POSIX',
        'Programming Language :: Python :: 2',
        'Programming Language :: Python :: 2.7',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.5',
        'Programming Language :: Python :: 3.6',
        'Programming Language :: Python :: 3.7',
        'Programming Language :: Python :: 3.8',
        'Programming Language :: Python :: 3.9',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: Implementation :: CPython',
        'Programming Language :: Python :: Implementation :: PyPy',
        'Topic :: System :: Clustering',
        'Topic :: System :: Distributed Computing',
        'Typing :: Typed',
    ],
)
