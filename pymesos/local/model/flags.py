"""The flags that the master says it was started with: those of Mesos 1.11, with its settings where there are some."""
from __future__ import absolute_import, division, print_function

from .texts import duration

__all__ = ['flags']

#: Flags that have no setting here, with the values that a real master shows.
_FIXED = {
    'allocator': 'hierarchical', 'allocator_agent_recovery_factor': '0.8', 'allocator_recovery_timeout': '10mins',
    'authenticate_agents': 'false', 'authenticate_frameworks': 'false', 'authentication_v0_timeout': '15secs',
    'authenticators': 'crammd5', 'authorizers': 'local', 'framework_sorter': 'drf', 'help': 'false',
    'hostname_lookup': 'true', 'http_authenticators': 'basic', 'initialize_driver_logging': 'true',
    'log_auto_initialize': 'true', 'logbufsecs': '0', 'logging_level': 'INFO',
    'max_completed_tasks_per_framework': '1000', 'max_unreachable_tasks_per_framework': '1000',
    'memory_profiling': 'false', 'offer_constraints_re2_max_mem': '4KB',
    'offer_constraints_re2_max_program_size': '100', 'publish_per_framework_metrics': 'true', 'quiet': 'false',
    'recovery_agent_removal_limit': '100%', 'registry': 'in_memory', 'registry_fetch_timeout': '1mins',
    'registry_gc_interval': '15mins', 'registry_max_agent_age': '2weeks', 'registry_max_agent_count': '102400',
    'registry_store_timeout': '20secs', 'registry_strict': 'false', 'require_agent_domain': 'false',
    'role_sorter': 'drf', 'version': 'false', 'webui_dir': '/usr/share/mesos/webui', 'zk_session_timeout': '10secs',
}


def flags(master):
    """{name: text} of a :class:`~.master.MasterModel`."""
    options = master.options
    found = dict(_FIXED)
    for name in ('agent_ping_timeout', 'agent_reregister_timeout', 'allocation_interval'):
        found[name] = duration(getattr(options, name))
    for name, value in (('authenticate_http_frameworks', options.authenticate_frameworks),
                        ('authenticate_http_readonly', options.authenticate_readonly),
                        ('authenticate_http_readwrite', options.authenticate_readwrite),
                        ('filter_gpu_resources', options.filter_gpu_resources),
                        ('root_submissions', options.root_submissions)):
        found[name] = 'true' if value else 'false'
    found['hostname'] = options.hostname
    found['port'] = '%d' % options.port
    for name in ('max_agent_ping_timeouts', 'max_completed_frameworks'):
        found[name] = '%d' % getattr(options, name)
    found['max_operator_event_stream_subscribers'] = '%d' % options.max_operator_subscribers
    found['min_allocatable_resources'] = '|'.join(
        ';'.join('%s:%g' % pair for pair in sorted(minimum.items())) for minimum in options.min_allocatable_resources)
    if options.offer_timeout is not None:
        found['offer_timeout'] = duration(options.offer_timeout)
    if options.roles is not None:
        found['roles'] = ','.join(options.roles)
    if options.weights:
        found['weights'] = ','.join('%s=%g' % pair for pair in sorted(options.weights.items()))
    if options.cluster is not None:
        found['cluster'] = options.cluster
    if options.authenticate_frameworks:
        found['http_framework_authenticators'] = 'basic'
    if options.authenticate_frameworks or options.authenticate_readonly or options.authenticate_readwrite:
        # They are in no file.
        found['credentials'] = ''
    found['work_dir'] = getattr(options, 'work_dir', None) or ''
    return dict((name, found[name]) for name in sorted(found))
