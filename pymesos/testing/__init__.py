"""Helpers for people who test a framework: a scripted master and agent, a TCP proxy with faults, leak checks.

``pytest_plugins = ['pymesos.testing.plugin']`` in a ``conftest.py`` makes fixtures of them.
"""
from __future__ import absolute_import, division, print_function

from ..serving.http_server import Answer, Request
from .agent import ScriptedAgent
from .leaks import LeakCheck, Leaked
from .master import ScriptedMaster
from .proxy import FaultProxy
from .scripted import Recorded
from .stream import Stream
from .waiting import wait_until

__all__ = ['Answer', 'FaultProxy', 'LeakCheck', 'Leaked', 'Recorded', 'Request', 'ScriptedAgent', 'ScriptedMaster',
           'Stream', 'wait_until']
