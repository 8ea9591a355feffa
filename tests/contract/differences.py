"""Exchanges in which a target may differ from what was recorded, and why: (pattern of names, targets, reason)."""
from __future__ import absolute_import, division, print_function

DIFFERENCES = [
    ('scheduler/command-00-SUBSCRIBE.events', ('mesos',),
     'where the real Mesos is built below /root, a task that runs as nobody cannot reach its programs'),
    ('operator-master/SUBSCRIBE.events', ('mesos',), 'the same task'),
    ('operator-master/accept-protobuf', ('local',), 'the embedded cluster speaks no protobuf'),
    ('scheduler/protobuf-accept-SUBSCRIBE(.events)?', ('local',), 'the embedded cluster speaks no protobuf'),
    ('auth/operator-agent-(no-credentials|wrong)', ('local',),
     'with credentials the agents of the embedded cluster want tokens of their executors, and so offer Bearer as well'),
    ('scheduler/crash-type-UNKNOWN-call', ('local',), 'the real master dies of this call, the embedded one refuses it'),
    ('operator-master/SUBSCRIBE.events', ('local',), 'the framework `pb` speaks protobuf and is refused'),
    ('(auth|operator-master|operator-agent)/GET-metrics_snapshot(-good)?', ('local',),
     'there are no metrics of what there is not: the registrar and its log, the machine, the times of the allocator, '
     'the hidden master on the port of an agent, the framework `pb`'),
    ('operator-agent/(GET-flags|GET-state|GET_FLAGS)', ('local',),
     'agents show the flags that mean something to them: none of docker, cgroups, the fetcher\'s cache'),
    ('wire/no-content-length', ('local',),
     'a request that names a host which is not the cluster\'s is refused, as a defence against pages of other sites'),
    ('scheduler/mfail2-00-SUBSCRIBE-after-master-restart.events', ('local', 'mesos'),
     'whether the scheduler or the agent is first to find the new master is a race'),
]
