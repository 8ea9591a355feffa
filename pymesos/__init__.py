"""Apache Mesos frameworks in pure Python."""
from __future__ import absolute_import, division, print_function

from .executor import MesosExecutorDriver
from .interface import Executor, OperatorMaster, Scheduler
from .operator_v1 import MesosOperatorAgentDriver, MesosOperatorMasterDriver
from .scheduler import MesosSchedulerDriver
from .utils import decode_data, encode_data

__VERSION__ = __version__ = '0.3.16'

__all__ = ['Executor', 'MesosExecutorDriver', 'MesosOperatorAgentDriver', 'MesosOperatorMasterDriver',
           'MesosSchedulerDriver', 'OperatorMaster', 'Scheduler', 'decode_data', 'encode_data']
