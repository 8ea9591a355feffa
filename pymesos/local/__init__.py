"""An embedded Mesos cluster: a master and agents inside this process, over real sockets and with real executors."""
