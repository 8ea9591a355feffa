"""pymesos.utils: base64, durations, addresses."""
from __future__ import absolute_import, division, print_function

import binascii
import copy
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesos.errors import InvalidAddress, UsageError
from pymesos.utils import (DAY, MASTER_PORT, Address, basic_credential, decode_data, encode_data, hide_secret,
                           parse_address, parse_duration, redirected_address)

HOSTS = 'expected host:port, such as 10.0.0.1:5050 or [::1]:5050'
PASSWORD = 'a name and a password do not belong here; drivers take them as principal and secret'


# ---- data


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])      # a slow machine is no failure
@given(st.binary(max_size=300))
def test_data_survives_encoding(data):
    text = encode_data(data)
    assert text == text.strip() and '\n' not in text
    assert decode_data(text) == data
    assert decode_data(text.encode('ascii')) == data


def test_encoded_data_is_text_that_json_carries():
    assert encode_data(b'hello') == u'aGVsbG8='
    assert isinstance(encode_data(b'hello'), type(u''))
    assert len(encode_data(b'x' * 3000)) == 4000, 'one line, however long'


@pytest.mark.parametrize('principal,secret,decoded', [
    ('user', 'secret', b'user:secret'), (b'user', b'secret', b'user:secret'), ('user', b's\xc3\xa9', b'user:s\xc3\xa9'),
    (u'\xfcser', u's\xe9', b'\xc3\xbcser:s\xc3\xa9'), ('user', '', b'user:'), ('user', 7, b'user:7')])
def test_credentials_are_text_or_bytes(principal, secret, decoded):
    scheme, _, data = basic_credential(principal, secret).partition(' ')
    assert scheme == 'Basic'
    assert decode_data(data) == decoded


def test_there_is_no_credential_without_a_secret():
    assert basic_credential('user', None) is None
    assert basic_credential(None, 'secret') is None


def test_data_that_is_not_base64_is_refused():
    with pytest.raises(binascii.Error):
        decode_data('aGVsbG8')


# ---- durations


@pytest.mark.parametrize('text, seconds', [
    ('15mins', 900), ('250ms', 0.25), ('1secs', 1), ('2hrs', 7200), ('1days', DAY), ('1.5weeks', 10.5 * DAY),
    ('100ns', 1e-7), ('20us', 2e-5), ('0secs', 0), ('.5secs', 0.5), ('5.secs', 5), (' 10secs\n', 10),
    (u'3secs', 3), ('10.123456789secs', 10.123456789),
])
def test_duration_is_read(text, seconds):
    value = parse_duration(text)
    assert isinstance(value, float)
    assert value == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize('text', ['', '15', 'mins', '15min', '15 mins', '-1secs', '+1secs', '1e3secs', '.secs',
                                  '1secs2', '1,5secs', 'infsecs', u'\u0661secs'])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert str(caught.value) == ('cannot read the duration %r: expected a number and one of the units '
                                 'ns, us, ms, secs, mins, hrs, days, weeks' % (text,))


# ---- addresses


@pytest.mark.parametrize('text, expected', [
    ('master', ('http', 'master', MASTER_PORT)),
    ('master:80', ('http', 'master', 80)),
    (' master:80\n', ('http', 'master', 80)),
    ('master:', ('http', 'master', MASTER_PORT)),
    ('10.0.0.1:65535', ('http', '10.0.0.1', 65535)),
    ('my_host.example:1', ('http', 'my_host.example', 1)),
    ('master@10.0.0.1:5051', ('http', '10.0.0.1', 5051)),
    ('slave(1)@10.0.0.1:5051', ('http', '10.0.0.1', 5051)),
    ('::1', ('http', '::1', MASTER_PORT)),
    ('[::1]', ('http', '::1', MASTER_PORT)),
    ('[::1]:5051', ('http', '::1', 5051)),
    ('[fe80::1%eth0]:5051', ('http', 'fe80::1%eth0', 5051)),
    ('1:2:3:4:5:6:7:8', ('http', '1:2:3:4:5:6:7:8', MASTER_PORT)),
    ('1:2:3:4:5:6:10.0.0.1', ('http', '1:2:3:4:5:6:10.0.0.1', MASTER_PORT)),
    ('::ffff:10.0.0.1', ('http', '::ffff:10.0.0.1', MASTER_PORT)),
    ('http://master:80/', ('http', 'master', 80)),
    ('HTTPS://master', ('https', 'master', MASTER_PORT)),
    ('https://[::1]:443/master/api?x=1#y', ('https', '::1', 443)),
    ('//master:5051/api/v1/scheduler', ('http', 'master', 5051)),
    ('//master:5051/redirect?to=http://other', ('http', 'master', 5051)),
])
def test_address_is_read(text, expected):
    assert parse_address(text) == Address(*expected)


def test_host_that_is_not_ascii_gets_the_name_that_dns_has():
    address = parse_address(u'http://b\xfccher.example:80/')
    assert address == Address('http', 'xn--bcher-kva.example', 80)
    assert str(address) == 'xn--bcher-kva.example:80' and type(address.host) is str
    with pytest.raises(InvalidAddress) as caught:
        parse_address(u'\xfc' * 80)
    assert 'expected host:port' in str(caught.value)


def test_address_takes_the_callers_port_and_scheme_where_it_has_none():
    assert parse_address('a', 2181, 'https') == Address('https', 'a', 2181)
    assert parse_address('http://a:1', 2181, 'https') == Address('http', 'a', 1)
    assert parse_address('//a:1/x', scheme='https') == Address('https', 'a', 1)


def test_domain_socket_is_read():
    address = parse_address('unix:///var/run/mesos.sock')
    assert address == Address('unix', None, None, '/var/run/mesos.sock')
    assert (str(address), address.netloc, address.is_tls) == ('unix:///var/run/mesos.sock', 'localhost', False)


@pytest.mark.parametrize('text, why', [
    ('', HOSTS), (':5050', HOSTS), ('http://', HOSTS), ('http:///path', HOSTS), ('a b', HOSTS), ('a\r\nb:1', HOSTS),
    ('a:1:2', HOSTS), ('1:2:3:4:5:6', HOSTS), ('a::b%', HOSTS),
    ('[::1', HOSTS), ('[::1]5', HOSTS), ('[a]:5', HOSTS), ('a]:5', HOSTS), ('[]:5', HOSTS),
    ('a:0', "the port is '0', expected 1 to 65535"), ('a:65536', "the port is '65536', expected 1 to 65535"),
    ('a:+5', "the port is '+5', expected 1 to 65535"), ('a:5_0', "the port is '5_0', expected 1 to 65535"),
    ('a: 5', "the port is ' 5', expected 1 to 65535"), ('a:x', "the port is 'x', expected 1 to 65535"),
    ('zk://a/b', "expected http://, https:// or unix://, not 'zk'"),
    ('unix://relative', 'unix:// wants an absolute path'),
])
def test_what_is_no_address_is_refused(text, why):
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert str(caught.value) == 'cannot use the address %r: %s' % (text, why)
    assert caught.value.address == text
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, UsageError)


@pytest.mark.parametrize('value', [None, 5050, b'master:5050'] if bytes is not str else [None, 5050])
def test_what_is_no_text_is_no_address(value):
    with pytest.raises(InvalidAddress) as caught:
        parse_address(value)
    assert str(caught.value) == 'cannot use the address %r: expected text' % (value,)


@pytest.mark.parametrize('text', ['me:pA55word@master:5050', 'http://me:pA55word@master:5050',
                                  'me:pA5/5word@master:x', 'https://me:pA5@5word@master', '//me:pA55word@master:0/'])
def test_password_is_refused_and_not_shown(text):
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert str(caught.value).endswith(PASSWORD)
    for shown in (str(caught.value), repr(caught.value), caught.value.address):
        assert '5word' not in shown and 'me:' not in shown
        assert '***@master' in shown


def test_a_long_address_is_cut_in_the_text():
    with pytest.raises(InvalidAddress) as caught:
        parse_address('a b' * 1000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize('text, shown', [
    ('zk://me:pA55word@h1,h2/mesos', 'zk://***@h1,h2/mesos'), ('me:p@ss@h', '***@h'),
    ('ftp://u:s0@h0,http://u:s1@h1:5050', 'ftp://***@h0,http://***@h1:5050'),
    ('http://[::1]:5050', 'http://[::1]:5050'),
    ('master@h:5050', 'master@h:5050'), ('http://h:5050/', 'http://h:5050/'), ('h', 'h'), ('', ''),
])
def test_secret_is_hidden(text, shown):
    assert hide_secret(text) == shown


def test_address_is_a_value():
    address = Address('https', '::1', 5050)
    assert address == Address('https', '::1', 5050, None) != Address('http', '::1', 5050)
    assert not address != Address('https', '::1', 5050)
    assert address != ('https', '::1', 5050, None) and address != None    # noqa: E711
    assert len({address, Address('https', '::1', 5050)}) == 1
    for other in (copy.copy(address), copy.deepcopy(address)) + tuple(
            pickle.loads(pickle.dumps(address, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)):
        assert other == address
    assert (str(address), address.netloc, address.is_tls) == ('[::1]:5050', '[::1]:5050', True)
    assert repr(address) == "Address('https', '::1', 5050, None)"
    assert str(Address('http', 'a', 1)) == 'a:1'
    assert address.with_scheme('http') == Address('http', '::1', 5050)


@pytest.mark.parametrize('text', ['a:1', '[::1]:2', '10.0.0.1:3'])
def test_text_of_an_address_reads_back(text):
    assert str(parse_address(text)) == text
    assert parse_address(str(parse_address(text))) == parse_address(text)


# ---- redirects


def test_redirect_keeps_the_scheme_of_the_client():
    plain, tls = Address('http', 'a', 5050), Address('https', 'a', 5050)
    assert redirected_address('//b:5051/api/v1/scheduler', plain) == Address('http', 'b', 5051)
    assert redirected_address('//b:5051/api/v1/scheduler', tls) == Address('https', 'b', 5051)
    assert redirected_address('http://b:5051/', tls) == Address('https', 'b', 5051), 'nobody is talked out of TLS'
    assert redirected_address('//[::1]:5051', plain) == Address('http', '::1', 5051)


@pytest.mark.parametrize('location', ['', '/api/v1', 'ftp://b', 'unix:///etc/passwd', '//b:99999'])
def test_redirect_that_leads_nowhere_is_refused(location):
    with pytest.raises(InvalidAddress):
        redirected_address(location, Address('http', 'a', 5050))
