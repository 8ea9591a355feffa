"""Runs a real Mesos with one agent: prints the master's address and ends when its standard input does."""
from __future__ import absolute_import, division, print_function

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'tests', 'mesos'))

import real_mesos  # noqa: E402


def main():
    # Offers come again at once, so that neither side waits for them.
    with real_mesos.RealMesos(master_env={'MESOS_ALLOCATION_INTERVAL': '20ms'}) as mesos:
        print(mesos.master)
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == '__main__':
    main()
