"""Brings the fixtures of pymesos to the tests of this folder, such as mesos_cluster."""
from __future__ import absolute_import, division, print_function

pytest_plugins = ['pymesos.testing.plugin']
