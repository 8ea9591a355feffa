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
    ('scheduler/mfail2-00-SUBSCRIBE-after-master-restart.events', ('local', 'mesos'),
     'whether the scheduler or the agent is first to find the new master is a race'),
]
