"""What is measured: one case in one fresh process, with whichever pymesos this interpreter imports.

``driver_process.py WHAT PORT EVENTS OFFERS [addict]`` prints one line of JSON: ``seconds``, ``cpu`` (CPU seconds of
this process in that time), ``peak`` (bytes resident at most), ``version``, ``file`` and ``parsers`` of the
library. WHAT is ``offers``, ``updates``, ``heartbeats``, ``calls``, ``calls-main``, ``idle``, or ``bare`` for a loop of
json.loads() over the records of ``offers``.

The clock starts when the driver is subscribed and the server is told to go.
"""
from __future__ import absolute_import, division, print_function

import json
import socket
import sys
import threading
import time

import pymesos

import clock
import load

DEADLINE = 120
IDLE_SECONDS = 30


class Meter(object):
    """A scheduler that counts events and tells when the last of `wanted` came."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.seen = 0
        self.last = None
        self.is_subscribed = threading.Event()
        self.is_done = threading.Event()

    def registered(self, driver, framework_id, master_info):
        self.is_subscribed.set()

    def disconnected(self, driver):
        if not self.is_done.is_set():
            sys.stderr.write('the driver lost its connection\n')

    def error(self, driver, message):
        sys.stderr.write('error: %s\n' % message)

    def processHeartBeat(self, driver):
        return

    def resourceOffers(self, driver, offers):
        return

    def _count(self):
        self.seen += 1
        if self.seen == self.wanted:
            self.last = clock.seconds()
            self.is_done.set()


class OffersMeter(Meter):
    def resourceOffers(self, driver, offers):
        self._count()


class UpdatesMeter(Meter):
    def statusUpdate(self, driver, status):
        self._count()


class HeartbeatsMeter(Meter):
    def __init__(self, wanted):
        super(HeartbeatsMeter, self).__init__(wanted + 1)       # one comes right behind SUBSCRIBED

    def processHeartBeat(self, driver):
        self._count()


METERS = {'offers': OffersMeter, 'updates': UpdatesMeter, 'heartbeats': HeartbeatsMeter}


def ask(port, path):
    """GET `path` of the server; returns when it has answered."""
    connection = socket.create_connection(('127.0.0.1', port), DEADLINE)
    connection.sendall(('GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n' % path).encode('ascii'))
    if not connection.recv(65536):
        raise RuntimeError('the server ended')
    connection.close()


def wait(event):
    if not event.wait(DEADLINE):
        raise RuntimeError('nothing more came within %d seconds' % DEADLINE)


def receive(meter, port):
    """The seconds until the last event was seen."""
    start = clock.seconds()
    ask(port, '/go')
    wait(meter.is_done)
    return meter.last - start


def receive_and_acknowledge(meter, port):
    """The seconds until the server has the last acknowledgement."""
    start = clock.seconds()
    ask(port, '/go')
    ask(port, '/calls/%d' % meter.wanted)
    return clock.seconds() - start


def call(driver, count):
    """The seconds of `count` calls, one after the other, from this thread."""
    offer_id = {'value': load.FRAMEWORK[:-5] + '-O49'}
    start = clock.seconds()
    for _ in range(count):
        driver.declineOffer(offer_id)
    return clock.seconds() - start


def call_on_a_thread(driver, count):
    """The same from a thread that is neither the main one nor the callbacks'."""
    seconds = []
    thread = threading.Thread(target=lambda: seconds.append(call(driver, count)))
    thread.start()
    thread.join()
    return seconds[0]


def be_idle():
    time.sleep(IDLE_SECONDS)
    return IDLE_SECONDS


def measure_driver(what, port, events, use_addict):
    meter = METERS.get(what, Meter)(events)
    framework = {'user': 'bench', 'name': 'bench', 'checkpoint': False}
    driver = pymesos.MesosSchedulerDriver(meter, framework, '127.0.0.1:%d' % port, use_addict=use_addict)
    driver.start()
    wait(meter.is_subscribed)
    measure = {'idle': be_idle,
               'calls': lambda: call_on_a_thread(driver, events), 'calls-main': lambda: call(driver, events),
               'updates': lambda: receive_and_acknowledge(meter, port)}.get(what, lambda: receive(meter, port))
    cpu = clock.cpu_seconds()
    seconds = measure()
    result = {'seconds': seconds, 'cpu': clock.cpu_seconds() - cpu, 'peak': clock.peak_bytes()}
    meter.is_done.set()
    driver.stop()
    driver.join()
    return result


def measure_bare(events, offers):
    """A loop of json.loads() in a process that has the library loaded, too.

    The garbage collector visits all objects of a process now and then, those of its modules as well. Whoever uses the
    library pays for these in any case, so the loop is measured with them.
    """
    records = load.offers_records(events, offers)
    loads = json.loads
    cpu, start = clock.cpu_seconds(), clock.seconds()
    for record in records:
        loads(record)
    seconds = clock.seconds() - start
    return {'seconds': seconds, 'cpu': clock.cpu_seconds() - cpu, 'peak': clock.peak_bytes()}


def main():
    what, port, events, offers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if what == 'bare':
        result = measure_bare(events, offers)
    else:
        result = measure_driver(what, port, events, 'addict' in sys.argv[5:])
    result.update(version=pymesos.__VERSION__, file=pymesos.__file__, parsers=clock.parsers())
    print(json.dumps(result))


if __name__ == '__main__':
    main()
