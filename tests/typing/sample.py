"""A framework as a user with a type checker writes it. Checked with ``mypy --strict``, never run."""
import abc
from typing import Any, Dict, List, Optional

from pymesos import (Executor, MesosExecutorDriver, MesosOperatorAgentDriver, MesosOperatorMasterDriver,
                     MesosSchedulerDriver, OperatorMaster, Scheduler, __version__, decode_data, encode_data)
from pymesos.detector import detect
from pymesos.errors import CallRejected, ConnectionFailed, MesosError, UsageError
from pymesos.interface import SchedulerDriver
from pymesos.local import LocalAgent, LocalCluster
from pymesos.resources import Resources, parse
from pymesos.subprocess import (CONFIG, DEVNULL, PIPE, STDOUT, CalledProcessError, Cluster, CompletedProcess, Popen,
                                StartFailed, StartTimeout, SubprocessError, TaskLost, TimeoutExpired, call, check_call,
                                check_output, configure, getoutput, getstatusoutput, run)
from pymesos.utils import DAY, parse_address, parse_duration
from pymesos.wire import calls


class Named(abc.ABC):
    def __init__(self, name: str) -> None:
        self.name = name


class MyScheduler(Named, Scheduler):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.done: Optional[str] = None

    def registered(self, driver: MesosSchedulerDriver, frameworkId: Dict[str, Any], masterInfo: Dict[str, Any]) -> None:
        self.done = frameworkId['value']
        driver.reviveOffers()
        driver.reviveOffers({'eng'})
        driver.suppressOffers(roles=['eng'])

    def resourceOffers(self, driver: MesosSchedulerDriver, offers: List[Dict[str, Any]]) -> None:
        for offer in offers:
            offered = Resources(offer['resources'])
            if not offered.has('cpus:0.1;mem:32'):
                driver.declineOffer(offer['id'], {'refuse_seconds': 60.0})
                continue
            task, rest = offered.take('cpus:0.1;mem:32')
            ports, rest = rest.take_ports(2)
            total: float = (task + ports).cpus
            driver.launchTasks([offer['id']], [{'resources': (task + ports).to_list(), 'name': str(total)}], filters={})
            driver.acceptOffers(offer['id'], [calls.reserve(rest.to_list(), operation_id={'value': 'op'})])

    def statusUpdate(self, driver: MesosSchedulerDriver, status: Dict[str, Any]) -> None:
        driver.acknowledgeStatusUpdate(status)
        driver.killTask(status['task_id'], agent_id=status.get('agent_id'), kill_policy=None)
        driver.reconcileTasks([status])

    def executorLost(self, driver: MesosSchedulerDriver, executorId: Dict[str, Any], slaveId: Dict[str, Any],
                     status: Optional[int]) -> None:
        driver.shutdownExecutor(executorId, slaveId)

    def error(self, driver: MesosSchedulerDriver, message: str) -> None:
        super().error(driver, message)
        driver.abort()


class AnyScheduler(Scheduler):
    """One that takes addict.Dict, and any driver."""

    def resourceOffers(self, driver: SchedulerDriver, offers: Any) -> None:
        driver.declineOffer([offer.id for offer in offers])


class MyExecutor(Executor):
    def launchTask(self, driver: MesosExecutorDriver, task: Dict[str, Any]) -> None:
        driver.sendStatusUpdate({'task_id': task['task_id'], 'state': 'TASK_RUNNING', 'data': encode_data(b'x')})

    def killTask(self, driver: MesosExecutorDriver, taskId: Dict[str, Any],
                 kill_policy: Optional[Dict[str, Any]] = None) -> None:
        driver.sendFrameworkMessage(encode_data(decode_data('aGk=')))


class MyOperator(OperatorMaster):
    def agentRemoved(self, agent_id: str) -> None:
        print(agent_id.upper())


def main() -> int:
    framework = {'name': 'mine', 'user': 'me', 'roles': ['eng'], 'failover_timeout': 3 * DAY}
    driver = MesosSchedulerDriver(MyScheduler('mine'), framework, 'zk://127.0.0.1:2181/mesos', use_addict=False,
                                  principal='me', secret='secret', tls={'ca_file': 'ca.pem'}, call_timeout=5.0)
    try:
        driver.start()
        driver.updateFramework(framework, suppressed_roles=['eng'])
        driver.join()
    except CallRejected as error:
        print(error.status, error.body)
    except ConnectionFailed as error:
        print(error.address, error.errno)
    except (UsageError, MesosError):
        driver.stop(True)
    MesosExecutorDriver(MyExecutor(), http_timeout=10).run()
    operator = MesosOperatorMasterDriver('127.0.0.1', MyOperator(), use_addict=True)
    operator.start()
    print(operator.getState()['get_state'], driver.framework_id, driver.connected, driver.failure)
    with MesosOperatorAgentDriver('127.0.0.1:5051').attachContainerOutput('c1') as records:
        for record in records:
            print(record['type'])
    detector = detect('127.0.0.1', lambda candidates: print([address.host for address in candidates]))
    detector.stop()
    available = sum([parse('cpus:1'), parse('cpus(eng):2')], Resources())
    print(parse_duration('5secs') + 1, parse_address('::1').netloc, available.ports, 'cpus:1' in available)
    return len(__version__)


def on_an_embedded_cluster() -> List[str]:
    with LocalCluster(agents=2, resources=['cpus:1', 'cpus:2;mem:64'], simulated=0.1) as cluster:
        agent: LocalAgent = cluster.agents[0]
        cluster.kill_agent(agent.number)
        cluster.partition()
        cluster.heal()
        driver = MesosSchedulerDriver(MyScheduler('on it'), {'user': '', 'name': 'x'}, cluster.master)
        driver.start()
    return cluster.masters


def commands() -> str:
    CONFIG['default_mem'] = 256.0
    configure(master='10.0.0.1:5050', host='10.0.0.9', port=7000, python=None)
    process: Popen[bytes] = Popen(['sort'], stdin=PIPE, stdout=PIPE, cpus=0.5, constraints='rack:r1', labels={'a': 'b'})
    stdout, stderr = process.communicate(b'b\na\n', timeout=5.0)
    print(stdout.decode(), process.wait(timeout=1.0) + 1, process.hostname, process.agent_id, process.task_id)
    if process.stdout is not None:
        data: bytes = process.stdout.read()
        print(data)
    process.cancel()
    with Popen('read x; echo $x', 0, shell=True, text=True, stdin=PIPE, stderr=STDOUT, umask=0o22) as texts:
        if texts.stdin is not None:
            texts.stdin.write('text')
    with Cluster('local', default_cpus=0.1) as cluster:
        call(['true'], cluster=cluster, stdout=DEVNULL, timeout=3)
        check_call('exit 0', shell=True, image={'type': 'DOCKER'}, start_timeout=1.5)
    done: CompletedProcess[str] = run(['cat'], input='text', text=True, capture_output=True, check=True, mem=64)
    raw: CompletedProcess[bytes] = run([b'cat'], input=b'bytes', stdout=PIPE, gpus=1, disk=10, max_retries=0)
    done.check_returncode()
    text: str = check_output(['date'], encoding='utf-8', cwd='/')
    binary: bytes = check_output(['date'], uris=['http://host/file'], env={'TZ': 'UTC'})
    try:
        print(getoutput('ls') + getstatusoutput('ls')[1], raw.args, binary)
    except (CalledProcessError, TimeoutExpired) as error:
        print(error.cmd)
    except TaskLost as error:
        print(error.task_id, error.reason)
    except StartTimeout as error:
        print(error.timeout)
    except (StartFailed, SubprocessError):
        raise
    return text
