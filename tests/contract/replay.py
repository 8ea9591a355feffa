"""Send recorded requests to a cluster, with its own ids, ports and offers in the place of those that were recorded."""
from __future__ import absolute_import, division, print_function

import json
import re
import socket
import sys
import time

import actors
import captures
import compare
import raw

#: The ports of the master and the two agents when it was recorded.
PORTS = ('127.0.0.1:7050', '127.0.0.1:7051', '127.0.0.1:7052')

#: The first master's id, and so the beginning of the ids of all agents.
MASTER_ID = '61011e53-227a-4934-8266-fc29e4278b0f'

WORK_DIR = '/opt/mesos/home/clusters/7050/agent%d/agents/0/work'

#: The executor that was recorded, and where it wrote what it did.
EXECUTOR = '/usr/local/lib/python-3.11.7/bin/python3 /opt/mesos/home/rawexec.py'
EXECUTOR_FOLDER = '/opt/mesos/home/captures/executor'

CONTENT_LENGTH = re.compile('(content-length: )[0-9]+$', re.IGNORECASE)
HOST = re.compile(b'\r\nhost: ([^\r]+)', re.IGNORECASE)

#: How long no more is to come until what is left open counts as left open.
QUIET_SECONDS = 0.7

#: How long what was recorded on a stream and has not come is waited for.
LATE_SECONDS = 15


class Replay(object):
    """The recorded script, played on a cluster. `seen` is {(kind, name): Reply}, `streams` {(kind, name): Stream}."""

    def __init__(self, cluster, folder, ports=PORTS):
        self.cluster = cluster
        self.seen = {}
        self.streams = {}
        self.ends = {}                  # wire: whether the peer closed the connection
        self.origins = captures.where_tokens_come_from()
        self.used = set()               # live offers that were handed out
        self.patches = {}               # name of an exchange: (what of its request is replaced, by what)
        command = '%s %s' % (sys.executable, actors.os.path.join(actors.HERE, 'raw_executor.py'))
        self.known = {EXECUTOR: command, EXECUTOR_FOLDER: folder}
        self.known.update(zip(ports, [cluster.master] + [agent.address for agent in cluster.agents]))
        for n, agent in enumerate(cluster.agents):
            self.agent_is(n, n)

    def agent_is(self, number, n):
        """The recorded agent S<number> is the live agent `n`."""
        self.known['%s-S%d' % (MASTER_ID, number)] = self.cluster.agents[n].id
        self.known[WORK_DIR % (n + 1)] = self.cluster.agents[n].work_dir

    # ------------------------------------------------------------ substitution

    def translated(self, text):
        """A recorded text with what is known of the live cluster in it."""
        for old in sorted(self.known, key=len, reverse=True):
            text = text.replace(old, self.known[old])
        return text

    def request(self, capture):
        """The bytes of a recorded request for this cluster; waits for the ids that it needs."""
        head, _, body = capture.request.partition(b'\r\n\r\n')
        for token in sorted(set(self.tokens((head + body).decode('latin-1')))):
            self.resolve(token)
        lines = self.translated(head.decode('latin-1')).split('\r\n')
        body = self.translated(body.decode('utf-8').replace(*self.patches.get(capture.name, ('', '')))).encode('utf-8')
        if not any('chunked' in line.lower() for line in lines):
            lines = [CONTENT_LENGTH.sub(lambda found: found.group(1) + str(len(body)), line) for line in lines]
        return '\r\n'.join(lines + ['', '']).encode('latin-1') + body

    def tokens(self, text):
        found = captures.TOKEN.findall(text) + re.findall('"uuid": "([^"]+)"', text)
        return found + re.findall('"uuid": {"value": "([^"]+)"', text)

    def resolve(self, token):
        """Find out what a recorded token is on the live cluster; what nobody handed out stays as it is."""
        origin = self.origins.get(token)
        if token in self.known or origin is None or ('scheduler', origin[1]) not in self.streams:
            return
        stream = self.streams['scheduler', origin[1]]
        if origin[0] == 'offer':
            self.known[token] = self.offer(stream, origin[2])
        elif origin[0] == 'inverse':
            self.known[token] = self.inverse_offer(stream, self.known[origin[2]['agent_id']['value']])
        elif origin[0] == 'uuid':
            self.known[token] = self.update(stream, *origin[2:])['uuid']
        elif origin[0] == 'container':
            status = self.update(stream, origin[2])
            self.known[token] = status['container_status']['container_id']['value']
        elif origin[0] == 'operation':
            status = stream.wait('UPDATE_OPERATION_STATUS', lambda payload: (
                payload['status']['operation_id']['value'] == origin[2] and 'uuid' in payload['status']))['status']
            self.known[token] = status['uuid']['value']

    def update(self, stream, task_id, like=None):
        """A live update of a task like a recorded one that was not handed out before; without `like` any that came."""
        def is_it(payload):
            status = payload['status']
            if status['task_id']['value'] != task_id:
                return False
            return like is None or all(status.get(key) == like.get(key) for key in ('state', 'source', 'reason')) and (
                'uuid' in status)
        if like is None:
            return [payload['status'] for payload in stream.of('UPDATE')
                    if is_it(payload) and 'container_status' in payload['status']][-1]
        return stream.wait('UPDATE', is_it, 'of ' + task_id)['status']

    def offer(self, stream, recorded):
        """The id of a live offer of the same agent with as much cpus and mem.

        Where the live one has cut it in pieces (that is a question of time), they are declined until it is whole.
        """
        agent_id = self.known[recorded['agent_id']['value']]
        wanted = [actors.amount(recorded['resources'], name) for name in ('cpus', 'mem')]

        def open_offers():
            gone = {payload['offer_id']['value'] for payload in stream.of('RESCIND')}
            return [offer for payload in stream.of('OFFERS') for offer in payload['offers']
                    if offer['agent_id']['value'] == agent_id and offer['id']['value'] not in self.used | gone]

        end = time.time() + raw.DEADLINE
        while True:
            offers = open_offers()
            for offer in offers:
                if [actors.amount(offer['resources'], name) for name in ('cpus', 'mem')] == wanted:
                    self.used.add(offer['id']['value'])
                    return offer['id']['value']
            if len(offers) > 1:
                self.decline(stream, offers)
            if time.time() > end:
                raise raw.Timeout('no offer of %s with %s; there are %s' % (agent_id, wanted, offers))
            stream.read(time.time() + raw.DEADLINE)

    def inverse_offer(self, stream, agent_id=None):
        """The id of an inverse offer, one for an agent if that is named, that was not handed out before."""
        def fresh(payload):
            return [each['id']['value'] for each in payload['inverse_offers']
                    if agent_id in (None, each['agent_id']['value']) and each['id']['value'] not in self.used]

        found = [each for payload in stream.of('INVERSE_OFFERS') for each in fresh(payload)]
        found = found or fresh(stream.wait('INVERSE_OFFERS', fresh))
        self.used.add(found[-1])
        return found[-1]

    def decline(self, stream, offers):
        self.used |= {each['id']['value'] for each in offers}
        self.order(stream, 'DECLINE', {'offer_ids': [each['id'] for each in offers],
                                       'filters': {'refuse_seconds': 0}})

    def call(self, name, kind, body=None):
        """A call that was not recorded, by the scheduler of a stream."""
        self.order(self.streams['scheduler', name], kind, body)

    def order(self, stream, kind, body):
        call = {'framework_id': stream.of('SUBSCRIBED')[0]['framework_id'], 'type': kind}
        if body is not None:
            call[kind.lower()] = body
        headers = {'Mesos-Stream-Id': stream.head.header('Mesos-Stream-Id')}
        assert raw.post(self.cluster.master, raw.SCHEDULER, call, headers).status == 202

    # ------------------------------------------------------------ steps

    def address(self, data):
        """Where a request goes to: its Host, or the master."""
        host = HOST.search(data)
        return host.group(1).decode('ascii') if host else self.cluster.master

    def send(self, kind, name):
        """One recorded exchange; a SUBSCRIBE stays open under its name."""
        capture = captures.Capture(kind, name)
        data = self.request(capture)
        if capture.is_stream:
            self.open(kind, name, data)
            return
        method = data.split(b' ', 1)[0].decode('ascii')
        self.seen[kind, name] = raw.send(self.address(data), data, method)

    def open(self, kind, name, data):
        stream = self.streams[kind, name] = Stream(self.address(data), data)
        self.seen[kind, name] = stream.head._replace(body=(stream.error or '').encode('utf-8'))
        if stream.head.header('Mesos-Stream-Id'):
            recorded = captures.parse(captures.Capture(kind, name).response)
            self.known[recorded.header('Mesos-Stream-Id')] = stream.head.header('Mesos-Stream-Id')
        for event in captures.Capture(kind, name).events() if stream.error is None else ():
            if kind in ('scheduler', 'auth') and event['type'] == 'SUBSCRIBED':
                live = stream.wait('SUBSCRIBED')['framework_id']['value']
                self.known[event['subscribed']['framework_id']['value']] = live

    def play(self, first, last, kind='scheduler'):
        """All that was recorded from one name to another. Streams end as they were recorded to have ended."""
        lines = captures.index(kind)
        positions = [n for n, (name, _text) in enumerate(lines) if name == first][:1]
        positions += [n for n, (name, _text) in enumerate(lines) if name == last][-1:]
        for name, text in lines[positions[0]:positions[1] + 1]:
            if (kind, name) not in self.seen:
                if captures.Capture(kind, name).has('response'):
                    self.send(kind, name)
            elif 'EOFError' in text:
                self.disconnect(kind, name)

    def disconnect(self, kind, name):
        """Close a stream from here and wait until the master knows."""
        stream = self.streams[kind, name]
        if stream.has_ended:
            return
        self.catch_up(kind, name)
        stream.close()
        if stream.of('SUBSCRIBED') and kind in ('scheduler', 'auth'):
            framework_id = stream.of('SUBSCRIBED')[0]['framework_id']['value']
            raw.wait_until(lambda: not (self.cluster.described(framework_id) or {}).get('connected'),
                           'the disconnection of ' + name)

    def catch_up(self, kind, name):
        """Read a stream to its end, or until it has told all that was recorded of it, or until that does not come."""
        stream, recorded = self.streams[kind, name], captures.Capture(kind, name).events()
        end = time.time() + LATE_SECONDS
        is_open = not stream.has_ended
        while is_open and (self.is_to_end(kind, name) or compare.streams(recorded, stream.events)):
            try:
                is_open = stream.read(end)
            except raw.Timeout:
                break

    def is_to_end(self, kind, name):
        """Whether the peer is to end a stream."""
        return any(each == name and 'last chunk' in text for each, text in captures.index(kind))

    def wait(self, name, kind, condition=None):
        """Wait for an event on a stream of a scheduler."""
        return self.streams['scheduler', name].wait(kind, condition)

    def wire(self, name):
        """One exchange of which the bytes count: what came until it was quiet, and whether the peer then closed."""
        data = captures.Capture('wire', name).request
        is_to_close = dict(captures.index('wire'))[name].startswith('closed')
        received, is_closed = b'', False
        with raw.Connection(self.cluster.master) as connection:
            connection.send(data)
            while not is_closed:
                connection.socket.settimeout(QUIET_SECONDS if received and not is_to_close else raw.DEADLINE)
                try:
                    more = connection.socket.recv(raw.RECV_BYTES)
                except socket.timeout:
                    break
                received, is_closed = received + more, not more
        self.seen['wire', name] = received
        self.ends[name] = is_closed

    def finish(self, *names):
        """Read streams to their end."""
        for name in names:
            self.streams['scheduler', name].wait_for_end()

    def close(self):
        for kind, name in self.streams:
            self.catch_up(kind, name)
        for stream in self.streams.values():
            stream.close()


class Stream(raw.Stream):
    """One that takes protobuf for what it is."""

    def decode(self, record):
        try:
            return json.loads(record.decode('utf-8'))
        except ValueError:
            return {'type': 'PROTOBUF', 'bytes': ''.join('%02x' % byte for byte in bytearray(record))}
