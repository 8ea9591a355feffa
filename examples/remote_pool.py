"""Runs one command for each file that is named, eight at a time: python remote_pool.py FILE ..."""
from __future__ import absolute_import, division, print_function

import sys
from multiprocessing.dummy import Pool        # of threads

from pymesos.subprocess import PIPE, TaskLost, run


def count_words(path):
    with open(path, 'rb') as stream:
        try:
            return path, int(run(['wc', '-w'], stdin=stream, stdout=PIPE, check=True, cpus=0.1, mem=32).stdout)
        except TaskLost as error:   # the agent went away; the command may have run or not
            return path, error


pool = Pool(8)
for path, words in pool.imap_unordered(count_words, sys.argv[1:]):
    print('%s: %s' % (path, words))
pool.close()
pool.join()
