"""What the cluster behind Popen is told, and where it is taken from."""
from __future__ import absolute_import, division, print_function

import pytest

from pymesos.errors import UsageError
from pymesos.subprocess import config


@pytest.fixture(autouse=True)
def untouched_config(monkeypatch):
    monkeypatch.setattr(config, 'CONFIG', {})


def resolve(environment=(), **options):
    return config.resolve(options, dict(environment))


def test_defaults_are_those_of_the_docs():
    settings = resolve(master='m')
    assert (settings.default_cpus, settings.default_mem) == (1, 1024)
    assert (settings.default_gpus, settings.default_disk) == (0, 0)
    assert settings.host is None             # the address that faces the master
    assert settings.port == 0
    assert settings.role == '*'
    assert str(settings.executor_resources) == 'cpus:0.01;mem:32'
    assert settings.start_timeout is None


def test_environment_is_read_when_asked_and_not_at_import():
    environment = {'MESOS_MASTER': 'zk://z/mesos', 'DEFAULT_PRINCIPAL': 'me', 'DEFAULT_SECRET': 'hush'}
    assert resolve(environment).key() == ('zk://z/mesos', 'me', 'hush')


def test_config_goes_before_the_environment_and_options_before_both():
    config.CONFIG['master'] = 'configured'
    assert resolve({'MESOS_MASTER': 'environment'}).master == 'configured'
    assert resolve({'MESOS_MASTER': 'environment'}, master='option').master == 'option'


def test_none_counts_as_not_given():
    config.CONFIG['master'] = None
    assert resolve({'MESOS_MASTER': 'environment'}, master=None, default_cpus=None).master == 'environment'
    assert resolve(master='m', default_cpus=None).default_cpus == 1.0


def test_empty_variable_counts_as_none():
    assert resolve({'MESOS_MASTER': ''}).master == 'local'


def test_no_master_at_all_is_the_embedded_cluster_and_it_shows_that_nobody_said_so():
    assert (resolve().master, resolve().is_assumed) == ('local', True)
    assert (resolve(master='local').master, resolve(master='local').is_assumed) == ('local', False)


def test_unknown_name_in_config_is_an_error_at_use_that_lists_the_names():
    config.CONFIG['mastre'] = 'm'
    with pytest.raises(UsageError) as caught:
        resolve()
    assert str(caught.value).startswith("there is no option 'mastre'; there are advertised_host, advertised_port, ")


def test_configure_changes_config_and_none_takes_out():
    config.configure(master='m', default_cpus=2)
    assert config.CONFIG == {'master': 'm', 'default_cpus': 2}
    config.configure(master=None)
    assert config.CONFIG == {'default_cpus': 2}


def test_configure_with_a_fault_changes_nothing():
    with pytest.raises(UsageError):
        config.configure(master='m', default_cpus=-1)
    with pytest.raises(UsageError):
        config.configure(master='m', nonsense=1)
    assert config.CONFIG == {}


@pytest.mark.parametrize('name,value,expected', [
    ('default_cpus', 0, 'expected a number above 0'),
    ('default_cpus', 'many', 'expected a number above 0'),
    ('default_cpus', float('nan'), 'expected a number above 0'),
    ('default_cpus', float('inf'), 'expected a number above 0'),
    ('default_cpus', True, 'expected a number above 0'),
    ('default_mem', -1, 'expected a number of at least 0'),
    ('default_gpus', 0.5, 'expected a whole number from 0 to 1000000'),
    ('default_gpus', float('nan'), 'expected a whole number from 0 to 1000000'),
    ('port', 65536, 'expected a whole number from 0 to 65535'),
    ('port', '5', 'expected a whole number from 0 to 65535'),
    ('advertised_port', 0, 'expected a whole number from 1 to 65535'),
    ('host', '', 'expected text that is not empty'),
    ('master', 5050, 'expected text'),
    ('use_installed_executor', 'yes', 'expected True or False'),
    ('containerizer', 'podman', "expected 'mesos' or 'docker'"),
    ('executor_resources', 'ports:[1-2]', "expected amounts such as 'cpus:0.01;mem:32'"),
    ('executor_environment', {'A': 1}, 'expected a dict of text'),
    ('max_retries', -1, 'expected a whole number from 0 to 1000000'),
])
def test_value_that_cannot_be_is_refused_with_what_was_expected(name, value, expected):
    with pytest.raises(UsageError) as caught:
        resolve(**{name: value})
    assert str(caught.value) == '%s=%r: %s' % (name, value, expected)


def test_unreadable_resources_are_refused():
    with pytest.raises(UsageError) as caught:
        resolve(executor_resources='lots')
    assert str(caught.value).startswith('executor_resources: cannot read the resource')


def test_secret_is_in_no_text():
    with pytest.raises(UsageError) as caught:
        resolve(secret=[b'hush'])
    assert 'hush' not in str(caught.value)
    assert 'hush' not in repr(resolve(master='m', principal='me', secret='hush'))
    assert repr(resolve(master='zk://me:hush@z/mesos')) == '<Settings for zk://***@z/mesos>'
