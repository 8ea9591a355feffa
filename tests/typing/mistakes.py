"""What a type checker must complain of: each line with ``# wrong`` at its end, and no other. Never run."""
from typing import Any, Dict

from pymesos import MesosSchedulerDriver, Scheduler, encode_data
from pymesos.resources import Resources, parse
from pymesos.subprocess import Cluster, Popen, check_output, configure


class Wrong(Scheduler):
    def statusUpdate(self, driver: MesosSchedulerDriver, status: str) -> None:  # wrong
        driver.sendFrameworkMessage(status, {}, '')  # wrong

    def offerRescinded(self, driver: MesosSchedulerDriver) -> None:  # wrong
        driver.declineOffers({})  # wrong


def main(framework: Dict[str, Any]) -> None:
    driver = MesosSchedulerDriver(Wrong(), framework)  # wrong
    driver.stop('failover')  # wrong
    driver.killTask('task')  # wrong
    driver.connected = True  # wrong
    print(encode_data('text'))  # wrong
    print(Resources([{}]).cpus + 'cpus')  # wrong
    print(parse(5), parse('') - 5)  # wrong
    MesosSchedulerDriver(Wrong(), framework, 'host', unknown=1)  # wrong


def commands() -> None:
    Popen(['true'], cpus='1')  # wrong
    Popen(['true'], unknown=1)  # wrong
    Popen(5)  # wrong
    Popen(['true'], pass_fds=(3,))  # wrong
    print(check_output(['date']) + 'text')  # wrong
    print(check_output(['date'], text=True) + b'bytes')  # wrong
    configure(mester='local')  # wrong
    Cluster('local', port='7000')  # wrong
