"""What the master is told of commands: TaskInfo and ExecutorInfo."""
from __future__ import absolute_import, division, print_function

import json

import pytest

from pymesos.errors import UsageError
from pymesos.resources import parse
from pymesos.subprocess.config import resolve
from pymesos.subprocess.framework import infos
from pymesos.subprocess.framework.agents import Executor
from pymesos.subprocess.framework.orders import Launch, Update
from pymesos.subprocess.request import Request, make_spec
from pymesos.subprocess.scheduler import make_framework, read_update
from pymesos.utils import decode_data, encode_data


def settings(**options):
    return resolve(dict(options, master='m'), {})


def kind(role='*', uri='http://h:1/t/pymesos.zip', options=(), **wanted):
    return infos.make_kind('run it', uri, Request(**wanted), settings(**dict(options)), role)


def test_executor_is_a_shell_command_with_the_bundle():
    assert kind().info == {
        'type': 'CUSTOM', 'name': 'pymesos.subprocess', 'command': {
            'shell': True, 'value': 'run it', 'uris': [
                {'value': 'http://h:1/t/pymesos.zip', 'extract': False, 'executable': False, 'cache': False}]}}


def test_installed_executor_needs_no_bundle():
    assert 'uris' not in kind(uri=None).info['command']


def test_executors_that_differ_have_different_names():
    names = [kind().name, kind(role='eng').name, kind(image='debian').name, kind(uris='http://x/y').name,
             kind(options={'executor_environment': {'A': 'b'}}).name,
             kind(image='debian', options={'containerizer': 'docker'}).name]
    assert len(set(names)) == len(names)
    assert kind(image='debian').name == kind(image='debian', cpus=3).name


@pytest.mark.parametrize('image,containerizer,expected', [
    ('debian:12', 'mesos',
     {'type': 'MESOS', 'mesos': {'image': {'type': 'DOCKER', 'docker': {'name': 'debian:12'}}}}),
    ('debian:12', 'docker', {'type': 'DOCKER', 'docker': {'image': 'debian:12', 'network': 'HOST'}}),
    ({'type': 'APPC', 'appc': {'name': 'x'}}, 'mesos',
     {'type': 'MESOS', 'mesos': {'image': {'type': 'APPC', 'appc': {'name': 'x'}}}}),
    ({'type': 'DOCKER', 'docker': {'name': 'y'}}, 'docker',
     {'type': 'DOCKER', 'docker': {'image': 'y', 'network': 'HOST'}}),
])
def test_image_becomes_a_container(image, containerizer, expected):
    assert kind(image=image, options={'containerizer': containerizer}).info['container'] == expected


@pytest.mark.parametrize('wanted,containerizer,text', [
    ({'image': 5}, 'mesos', 'cannot use the image 5'),
    ({'image': ''}, 'mesos', "cannot use the image ''"),
    ({'image': {'type': 'APPC'}}, 'docker', 'it names no Docker image'),
    ({'uris': 5}, 'mesos', None),
    ({'uris': [5]}, 'mesos', 'cannot use the uri 5'),
    ({'uris': [{'extract': True}]}, 'mesos', 'cannot use the uri'),
])
def test_what_cannot_be_used_is_refused(wanted, containerizer, text):
    with pytest.raises((UsageError, TypeError)) as caught:
        kind(options={'containerizer': containerizer}, **wanted)
    assert text is None or text in str(caught.value)


@pytest.mark.parametrize('uris,expected', [
    ('http://x/y', [{'value': 'http://x/y'}]),
    (['a', 'b'], [{'value': 'a'}, {'value': 'b'}]),
    ({'value': 'a', 'extract': False}, [{'value': 'a', 'extract': False}]),
    ([{'value': 'a', 'cache': True}, 'b'], [{'value': 'a', 'cache': True}, {'value': 'b'}]),
])
def test_uris_are_texts_or_dicts(uris, expected):
    assert kind(uri=None, uris=uris).info['command']['uris'] == expected


@pytest.mark.parametrize('wanted,expected', [
    ({}, 'cpus:1;mem:1024'),
    ({'cpus': 0.5, 'mem': 64, 'gpus': 0}, 'cpus:0.5;mem:64'), ({'gpus': 2}, 'cpus:1;mem:1024;gpus:2'),
    ({'disk': 10}, 'cpus:1;mem:1024;disk:10')])
def test_resources_are_those_asked_for_or_the_configured_ones(wanted, expected):
    assert str(infos.make_resources(Request(**wanted), settings())) == expected


def test_fewer_cpus_than_mesos_can_tell_are_refused():
    with pytest.raises(UsageError):
        infos.make_resources(Request(cpus=0.0001), settings())


def test_task_says_all_that_mesos_and_the_executor_need():
    executor = Executor('pymesos-k-1', 'a1', 'k', parse('cpus:0.01;mem:32'))
    launch = Launch('command-1', 1, parse('cpus:1'), executor)
    ticket = infos.make_ticket(('h', 5), b'\1' * 16, b'\2' * 32, b'code')
    request = Request(name='n', labels={'b': 2, 'a': '1'})
    task = infos.make_task(launch, kind(), request, make_spec(['true']), ticket)
    assert (task['name'], task['task_id'], task['agent_id']) == ('n', {'value': 'command-1'}, {'value': 'a1'})
    assert task['resources'] == parse('cpus:1').to_list()
    assert task['executor']['executor_id'] == {'value': 'pymesos-k-1'}
    assert task['executor']['resources'] == parse('cpus:0.01;mem:32').to_list()
    assert task['labels'] == {'labels': [{'key': 'a', 'value': '1'}, {'key': 'b', 'value': '2'}]}
    assert json.loads(decode_data(task['data']).decode()) == {
        'host': 'h', 'port': 5, 'identity': '01' * 16, 'key': '02' * 32, 'preexec': encode_data(b'code')}


def test_task_is_named_after_its_command_line_cut_short():
    executor = Executor('e', 'a1', 'k', parse('cpus:0.01'))
    task = infos.make_task(Launch('t', 1, parse('cpus:1'), executor), kind(), Request(), make_spec(['x' * 300]), '')
    assert task['name'] == 'x' * 100
    assert 'labels' not in task


# The scheduler's side.

def status(state='TASK_FAILED', data=None, **fields):
    found = dict(fields, task_id={'value': 't'}, state=state)
    if data is not None:
        found['data'] = encode_data(data)
    return found


@pytest.mark.parametrize('found,returncode', [
    (status(data=b'{"returncode": 3}'), 3), (status(data=b'{"returncode": -9}'), -9),
    (status('TASK_FINISHED'), 0), (status('TASK_FINISHED', data=b'{"returncode": 0}'), 0),
    (status(), None), (status(data=b'junk'), None), (status(data=b'{}'), None), (status(data=b'[]'), None),
    (status(data=b'{"returncode": "3"}'), None), (status(data=b'{"returncode": true}'), None),
    (status(data=b'\xff'), None)])
def test_return_code_is_in_the_data(found, returncode):
    assert read_update(found).returncode == returncode


def test_data_that_is_not_base64_tells_nothing():
    assert read_update(dict(status(), data='?')).returncode is None


def test_update_has_what_the_pool_wants():
    assert read_update(status(agent_id={'value': 'a'}, source='SOURCE_AGENT', reason='R', message='m')) == Update(
        't', 'TASK_FAILED', 'a', 'SOURCE_AGENT', 'R', 'm', None)


def test_framework_says_what_it_can_do():
    assert make_framework(settings(checkpoint=False), ['a'])['checkpoint'] is False
    framework = make_framework(settings(user='me', name='mine', principal='p', failover_timeout=5), ['a', 'b'])
    assert framework['user'] == 'me' and framework['name'] == 'mine' and framework['principal'] == 'p'
    assert framework['roles'] == ['a', 'b'] and framework['failover_timeout'] == 5 and framework['checkpoint'] is True
    assert {'type': 'PARTITION_AWARE'} in framework['capabilities']


def test_framework_has_a_user_and_a_name_without_being_told():
    framework = make_framework(settings(), ['*'])
    assert framework['user'] and framework['name'].startswith('pymesos.subprocess: ')
    assert 'principal' not in framework
