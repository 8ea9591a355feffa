"""TLS: verification is on, and what it refuses is told in words."""
from __future__ import absolute_import, division, print_function

import ssl

import pytest
from certificates import Authority
from recorders import FRAMEWORK, Recorder, executing, scheduling

from pymesos import MesosSchedulerDriver
from pymesos.errors import UsageError
from pymesos.testing import ScriptedAgent, ScriptedMaster, wait_until
from pymesos.transport.tls import context_from_environment, make_context


@pytest.fixture(scope='module')
def authority(tmpdir_factory):
    return Authority(tmpdir_factory.mktemp('ca'))


@pytest.fixture(scope='module')
def server(authority):
    return authority.server_context()


def address_of(peer):
    """By name: 2.7 cannot verify an IP address."""
    return 'https://localhost:%d' % peer.port


def test_verified_subscription_calls_and_large_events(authority, server):
    offers = [{'id': {'value': 'o%d' % number}, 'x': 'y' * 2000} for number in range(500)]
    with ScriptedMaster(ssl_context=server) as peer:
        with scheduling(address_of(peer), tls={'ca_file': authority.ca_file}) as (driver, recorder):
            recorder.wait('registered')
            for _ in range(5):
                peer.send_event({'type': 'OFFERS', 'offers': {'offers': offers}})
            (found,) = recorder.wait('resourceOffers', count=5)
            assert found == offers
            driver.declineOffer([offer['id'] for offer in found], {'refuse_seconds': 1e10})
            assert len(peer.await_call('DECLINE').body['decline']['offer_ids']) == 500


def refused_text(caplog):
    return [record.getMessage() for record in caplog.records if 'cannot speak TLS with' in record.getMessage()]


def test_unknown_authority_is_refused(server, caplog):
    with ScriptedMaster(ssl_context=server) as peer, scheduling(address_of(peer)) as (driver, recorder):
        wait_until(lambda: refused_text(caplog))
        assert 'certificate' in refused_text(caplog)[0].lower()
        assert not driver.connected and 'SUBSCRIBE' not in peer.counts
        assert not recorder.names


def test_other_name_is_refused(authority, caplog):
    context = authority.server_context('DNS:elsewhere.example')
    with ScriptedMaster(ssl_context=context) as peer:
        with scheduling(address_of(peer), tls={'ca_file': authority.ca_file}):
            wait_until(lambda: refused_text(caplog))
            assert 'SUBSCRIBE' not in peer.counts


def test_verification_can_be_turned_off(server):
    with ScriptedMaster(ssl_context=server) as peer:
        with scheduling(address_of(peer), tls={'verify': False}) as (_driver, recorder):
            recorder.wait('registered')


def test_client_certificate(authority):
    certificate, key = authority.issue('client', 'DNS:client.example')
    with ScriptedMaster(ssl_context=authority.server_context(wants_client=True)) as peer:
        tls = {'ca_file': authority.ca_file, 'cert_file': certificate, 'key_file': key}
        with scheduling(address_of(peer), tls=tls) as (_driver, recorder):
            recorder.wait('registered')


def test_context_of_the_user_is_used_as_it_is(authority, server):
    context = ssl.create_default_context(cafile=authority.ca_file)
    assert make_context(context) is context
    with ScriptedMaster(ssl_context=server) as peer:
        with scheduling('localhost:%d' % peer.port, tls=context) as (_driver, recorder):
            recorder.wait('registered')                 # https though the address does not say so


def test_redirect_does_not_talk_us_out_of_tls(authority, server):
    with ScriptedMaster(ssl_context=server) as leader, ScriptedMaster(ssl_context=server) as follower:
        follower.redirect_to('http://localhost:%d/api/v1/scheduler' % leader.port)
        with scheduling(address_of(follower), tls={'ca_file': authority.ca_file}) as (_driver, recorder):
            recorder.wait('registered')
            leader.await_subscribe()


def test_plain_server_is_an_error_that_is_told(caplog):
    # It says something that is not TLS, or it says nothing and waits for the end of a request.
    with ScriptedMaster() as peer, scheduling(address_of(peer), connect_timeout=1.0) as (driver, _recorder):
        wait_until(lambda: refused_text(caplog) or 'no answer within 1 seconds' in caplog.text)
        assert not driver.connected


def test_missing_file_is_an_error_of_start():
    driver = MesosSchedulerDriver(Recorder(), dict(FRAMEWORK), 'https://localhost:1', tls={'ca_file': '/no/such.pem'})
    with pytest.raises(UsageError) as caught:
        driver.start()
    assert 'cannot use the TLS files ca_file=/no/such.pem' in str(caught.value)


@pytest.mark.parametrize('tls, text', [({'cafile': 'x'}, 'unknown key cafile'), ({'key_file': 'x'}, 'no cert_file')])
def test_unknown_or_lonely_keys_are_named(tls, text):
    with pytest.raises(UsageError) as caught:
        make_context(tls)
    assert text in str(caught.value)


def test_executor_reads_libprocess_variables(authority, server, monkeypatch):
    monkeypatch.setenv('LIBPROCESS_SSL_ENABLED', '1')
    monkeypatch.setenv('LIBPROCESS_SSL_CA_FILE', authority.ca_file)
    with ScriptedAgent(ssl_context=server) as agent:
        monkeypatch.setattr(agent, 'environment', lambda **options: dict(
            ScriptedAgent.environment(agent, **options), MESOS_AGENT_ENDPOINT='localhost:%d' % agent.port))
        with executing(agent, monkeypatch) as (_driver, recorder):
            recorder.wait('registered')


@pytest.mark.parametrize('environ, mode', [
    ({}, None), ({'LIBPROCESS_SSL_ENABLED': '0'}, None), ({'LIBPROCESS_SSL_ENABLED': 'true'}, ssl.CERT_REQUIRED),
    ({'LIBPROCESS_SSL_ENABLED': 'true', 'LIBPROCESS_SSL_VERIFY_SERVER_CERT': 'false'}, ssl.CERT_NONE),
    ({'LIBPROCESS_SSL_ENABLED': '1', 'LIBPROCESS_SSL_VERIFY_CERT': '0'}, ssl.CERT_NONE)])
def test_environment(environ, mode):
    context = context_from_environment(environ)
    assert (context and context.verify_mode) == mode
