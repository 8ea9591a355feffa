"""The standard library's subprocess, on a cluster."""
from __future__ import absolute_import, division, print_function
