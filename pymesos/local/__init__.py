"""An embedded Mesos cluster: a master and agents inside this process, over real sockets and with real executors.

::

    from pymesos.local import LocalCluster

    with LocalCluster(agents=2) as cluster:
        driver = MesosSchedulerDriver(scheduler, framework, cluster.master)
        driver.run()

A driver whose master is ``local`` starts one by itself, shares it with others in this process, and stops it.
"""
from __future__ import absolute_import, division, print_function

from .cluster import LocalAgent, LocalCluster

__all__ = ['LocalAgent', 'LocalCluster']
