"""Settings of the embedded master and agents. Times are seconds; the defaults are those of Mesos (PROTOCOL 9)."""
from __future__ import absolute_import, division, print_function

from ..utils import Address

__all__ = ['AgentOptions', 'MasterOptions']

DAY = 86400.0


class _Options(object):
    """Attributes with defaults; a name that does not exist is an error."""

    def __init__(self, **settings):
        for name, value in settings.items():
            if not hasattr(type(self), name):
                raise TypeError('%s has no setting %r; it has: %s' % (
                    type(self).__name__, name, ', '.join(sorted(self.names()))))
            setattr(self, name, value)

    @classmethod
    def names(cls):
        """The names of all settings."""
        return [name for name in dir(cls) if not name.startswith('_') and name != 'names'
                and not isinstance(getattr(cls, name), property)]

    @property
    def address(self):
        """``host:port`` as clients are told it."""
        return Address('http', self.hostname, self.port).netloc

    @property
    def endpoint(self):
        """``ip:port``."""
        return Address('http', self.ip, self.port).netloc


class MasterOptions(_Options):
    """What the master's flags are in Mesos."""

    #: Where it listens, as MasterInfo tells it: address, host name, port.
    ip = '127.0.0.1'
    hostname = '127.0.0.1'
    port = 0
    #: Name of the cluster, None for none.
    cluster = None
    #: DomainInfo of the master, None for none.
    domain = None
    #: The roles that may be used (a tuple); None: any.
    roles = None
    #: {role: weight}
    weights = {}
    allocation_interval = 1.0
    #: Seconds after which an offer that is neither accepted nor declined is rescinded; None: never.
    offer_timeout = None
    #: Heartbeats of scheduler and operator streams.
    heartbeat_interval = 15.0
    agent_ping_timeout = 15.0
    max_agent_ping_timeouts = 5
    agent_reregister_timeout = 600.0
    #: How many completed frameworks are remembered.
    max_completed_frameworks = 50
    max_operator_subscribers = 1000
    root_submissions = True
    #: Whether agents with gpus are offered only to frameworks that are GPU_RESOURCES capable.
    filter_gpu_resources = True
    #: The smallest bundle that is offered: any of these alternatives, {name: amount}.
    min_allocatable_resources = ({'cpus': 0.01}, {'mem': 32.0})
    authenticate_frameworks = False
    authenticate_readonly = False
    authenticate_readwrite = False


class AgentOptions(_Options):
    """What the agent's flags are in Mesos."""

    #: Where it listens: address, host name, port.
    ip = '127.0.0.1'
    hostname = '127.0.0.1'
    port = 0
    #: The part of its pid before the @, and of its paths.
    name = 'slave(1)'
    #: [Resource] and [Attribute] as AgentInfo has them; fault domain or None.
    resources = ()
    attributes = ()
    domain = None
    work_dir = None
    #: The environment that executors are given besides their own: {name: text}.
    executor_environment_variables = {}
    executor_registration_timeout = 60.0
    executor_reregistration_timeout = 2.0
    executor_shutdown_grace_period = 5.0
    #: Seconds from TERM to KILL of built-in executors.
    kill_grace_period = 3.0
    recovery_timeout = 900.0
    status_update_retry_min = 10.0
    status_update_retry_max = 600.0
    executor_heartbeat_interval = 1800.0
    #: Heartbeats of container output streams.
    heartbeat_interval = 30.0
    registration_backoff = 1.0
    max_completed_frameworks = 50
    max_completed_executors_per_framework = 150
    max_completed_tasks_per_executor = 200
    #: Whether executors get a token and must show it.
    authenticate_executors = False
    authenticate_readonly = False
    authenticate_readwrite = False
    #: None for real executors. A number: no process is started, every task is said to run and, after so many
    #: seconds, to have finished. For clusters of a thousand agents.
    simulated_seconds = None
    #: Whether processes may run as other users (needs root).
    switch_user = True
    #: Whether the servers speak TLS, so that executors must.
    is_tls = False
    #: What is done with the executors of the agent before: 'reconnect', or 'cleanup': they and the agent are ended.
    recover = 'reconnect'
    #: Seconds without a ping after which the agent registers anew.
    master_ping_timeout = 75.0
    #: What makes the tokens of `authenticate_executors`: a function of framework, executor and container id.
    make_executor_token = None
    #: The Python and the user's PATH for executors.
    path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
