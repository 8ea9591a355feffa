"""The driver of the subprocess layer, whose calls must not hold up the thread that moves all streams."""
from __future__ import absolute_import, division, print_function

import threading

import pytest
from recorders import FRAMEWORK, Recorder

from pymesos.errors import CallRejected
from pymesos.subprocess import Cluster, Popen, StartFailed
from pymesos.subprocess.scheduler import Driver
from pymesos.testing import ScriptedMaster, wait_until
from pymesos.wire import calls
from pymesos.wire.session import is_about_subscription


@pytest.fixture
def peer():
    with ScriptedMaster() as server:
        yield server


@pytest.fixture
def driver(peer):
    recorder = Recorder()
    driver = Driver(recorder, dict(FRAMEWORK), peer.address, call_timeout=60)
    driver.start()
    try:
        recorder.wait('registered')
        yield driver
    finally:
        driver.stop()
        driver.join()


def elsewhere(function):
    """Run it on another thread than the main one, as the layer does; the thread."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread


@pytest.mark.parametrize('is_forgotten', [True, False])
@pytest.mark.parametrize('build, arguments', [
    (calls.revive, (['*'],)),
    (calls.accept, ([{'value': 'o1'}], [], None)),
])
def test_order_does_not_wait_for_the_answer(peer, driver, build, arguments, is_forgotten):
    told = []
    for _ in range(3):                  # the connection is there, and rests
        elsewhere(lambda: driver.order(build, arguments, told.append, is_forgotten)).join()
    wait_until(lambda: told == [None] * 3)
    kind = build.__name__.upper()
    peer.hold_answers(kind)
    elsewhere(lambda: driver.order(build, arguments, told.append, is_forgotten)).join()
    peer.await_call(kind, count=4)
    assert told == [None] * 3
    peer.release_answers()
    wait_until(lambda: told == [None] * 4)


@pytest.mark.parametrize('is_forgotten', [True, False])
def test_order_tells_of_a_refusal(peer, driver, is_forgotten):
    told = []
    peer.reject_next(400, 'no', type='REVIVE')
    elsewhere(lambda: driver.order(calls.revive, (['*'],), told.append, is_forgotten)).join()
    wait_until(lambda: told)
    assert isinstance(told[0], CallRejected) and told[0].body == 'no'


@pytest.mark.parametrize('build, arguments, is_forgotten', [
    (calls.revive, (['*'],), True),
    (calls.accept, ([{'value': 'o1'}], [], None), False),
])
def test_order_that_is_refused_as_the_subscription_has_ended_starts_the_next(peer, driver, build, arguments,
                                                                             is_forgotten):
    told = []
    peer.reject_next(403, 'Framework is not subscribed', type=build.__name__.upper())
    elsewhere(lambda: driver.order(build, arguments, told.append, is_forgotten)).join()
    wait_until(lambda: told and peer.counts['SUBSCRIBE'] >= 2)
    assert is_about_subscription(told[0])


def test_order_update_does_not_wait_and_keeps_what_the_master_took(peer, driver):
    told = []
    changed = dict(FRAMEWORK, roles=['a'])
    peer.hold_answers('UPDATE_FRAMEWORK')
    elsewhere(lambda: driver.order_update(changed, [], told.append)).join()
    peer.await_call('UPDATE_FRAMEWORK')
    assert not told
    peer.release_answers()
    wait_until(lambda: told == [None])
    assert driver.framework['roles'] == ['a']


def test_command_is_not_refused_for_the_sake_of_subscriptions_that_have_ended(peer):
    scalars = [{'name': name, 'type': 'SCALAR', 'scalar': {'value': value}, 'allocation_info': {'role': '*'}}
               for name, value in (('cpus', 4), ('mem', 4096))]
    offers = []

    def offer(_call):
        offers.append('o%d' % len(offers))
        peer.send_event({'type': 'OFFERS', 'offers': {'offers': [{
            'id': {'value': offers[-1]}, 'agent_id': {'value': 'a1'}, 'hostname': 'h', 'framework_id': {'value': 'f'},
            'allocation_info': {'role': '*'}, 'resources': scalars}]}})

    peer.on_call('REVIVE', offer)
    peer.reject_next(403, 'Framework is not subscribed', type='ACCEPT', times=3)
    failures = []

    def run():
        try:
            Popen(['true'], cluster=cluster)
        except StartFailed as error:
            failures.append(str(error))

    cluster = Cluster(peer.address)
    thread = elsewhere(run)
    peer.await_call('ACCEPT', count=4)
    assert not failures and peer.counts['SUBSCRIBE'] == 4
    cluster.close()
    thread.join()
    assert failures == ['the cluster was closed']
