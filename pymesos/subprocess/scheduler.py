"""The framework behind Popen as Mesos sees it: the scheduler's callbacks, and a driver whose calls wait for nothing."""
from __future__ import absolute_import, division, print_function

import getpass
import logging
import os
import socket
import sys
from binascii import Error as Base64Error

import six

from ..errors import ConnectionFailed, MessageError, UsageError
from ..scheduler import PATH, MesosSchedulerDriver
from ..utils import decode_data
from ..wire import calls, messages
from .config import CONFIG
from .framework.orders import Update
from .framework.placement import Offer

__all__ = ['CONFIG', 'CommandScheduler', 'Driver', 'make_framework', 'read_update']

logger = logging.getLogger(__name__)

#: What the framework can deal with (PROTOCOL 2.5).
CAPABILITIES = ('MULTI_ROLE', 'RESERVATION_REFINEMENT', 'PARTITION_AWARE', 'TASK_KILLING_STATE')


def make_framework(settings, roles):
    """The FrameworkInfo."""
    program = os.path.basename(sys.argv[0]) if getattr(sys, 'argv', None) and sys.argv[0] else 'python'
    framework = {
        'user': settings.user or _user(),
        'name': settings.name or 'pymesos.subprocess: %s' % program,
        'hostname': socket.gethostname(),
        'roles': list(roles),
        'capabilities': [{'type': name} for name in CAPABILITIES],
        'failover_timeout': settings.failover_timeout,
        'checkpoint': settings.checkpoint,
    }
    if settings.principal is not None:
        principal = settings.principal
        framework['principal'] = principal.decode('utf-8') if isinstance(principal, bytes) else principal
    return framework


def _user():
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):        # an id without a name; 3.13 raises OSError
        return str(os.getuid())


class Driver(MesosSchedulerDriver):
    """A scheduler's driver for a thread that must not wait."""

    @property
    def why_not_subscribed(self):
        """What came of the last try to subscribe, as text; '' if there is nothing to tell. Any thread."""
        return self._life.last_failure if self._life is not None else ''

    def order(self, build, args, finished, is_forgotten=False):
        """Send the call that ``build(framework_id, *args)`` makes and return at once, from any thread.

        ``finished(error)`` is called once, on the driver's loop or on the caller's thread; `error` is None, what the
        calls of :class:`MesosSchedulerDriver` raise, or ConnectionFailed without a subscription. If the call
        `is_forgotten` only an error matters, and it may come later.
        """
        if not (self.connected and self._fid()):
            finished(ConnectionFailed('%s: there is no subscription now' % build.__name__.upper()))
            return
        self._order(build(self._fid(), *args), finished, is_forgotten)

    def order_update(self, framework, suppressed_roles, finished):
        """The same for UPDATE_FRAMEWORK; what the master accepts is used for later subscriptions as well."""
        if not (self.connected and self._fid()):
            finished(ConnectionFailed('UPDATE_FRAMEWORK: there is no subscription now'))
            return
        changed = dict(framework, id={'value': self._fid()})

        def updated(error):
            if error is None:
                self._framework.clear()
                self._framework.update(changed)
            finished(error)

        self._order(calls.update_framework(changed, suppressed_roles), updated)

    def _order(self, body, finished, is_forgotten=False):
        try:
            calls.check(body)
            self._life.submit(body, PATH, self._headers_of(self.stream_id), lambda _answer, error: finished(error),
                              is_forgotten)
        except UsageError as error:     # such as a NaN in what the user gave
            finished(error)


class CommandScheduler(object):
    """The driver's callbacks: each tells the keeper, on the keeper's loop, what came; none decides anything."""

    def __init__(self, keeper):
        self._keeper = keeper

    def _tell(self, function, *args):
        self._keeper.tell(function, *args)

    def registered(self, driver, framework_id, master_info):
        """SUBSCRIBED, the first time."""
        logger.info('framework %s is subscribed with %s', framework_id['value'], driver.master)
        self._tell(self._keeper.subscribed)

    def reregistered(self, driver, master_info):
        """SUBSCRIBED again."""
        logger.info('framework %s is subscribed with %s again', driver.framework_id, driver.master)
        self._tell(self._keeper.subscribed)

    def disconnected(self, _driver):
        """The subscription ended."""
        self._tell(self._keeper.disconnected)

    def resourceOffers(self, _driver, offers):
        """OFFERS."""
        readable = []
        for offer in offers:
            try:
                readable.append(Offer(offer, self._keeper.now()))
            except (KeyError, TypeError, AttributeError, UsageError) as error:
                logger.error('an offer cannot be read, and is left alone: %s: %s', type(error).__name__, error)
        self._tell(self._keeper.offered, readable)

    def offerRescinded(self, _driver, offer_id):
        """RESCIND."""
        self._tell(self._keeper.rescinded, offer_id.get('value'))

    def statusUpdate(self, _driver, status):
        """UPDATE."""
        try:
            update = read_update(status)
        except (KeyError, TypeError, AttributeError) as error:
            logger.error('a status update cannot be read: %s: %s', type(error).__name__, error)
        else:
            logger.debug('task %s: %s %s', update.task_id, update.state, update.reason or '')
            self._tell(self._keeper.updated, update)

    def executorLost(self, _driver, executor_id, agent_id, status):
        """FAILURE of an executor."""
        logger.info('executor %s on agent %s has ended, its status is %s', (executor_id or {}).get('value'),
                    (agent_id or {}).get('value'), status)
        self._tell(self._keeper.executor_lost, (executor_id or {}).get('value'))

    def slaveLost(self, _driver, agent_id):
        """FAILURE of an agent."""
        logger.info('agent %s is lost', (agent_id or {}).get('value'))
        self._tell(self._keeper.agent_lost, (agent_id or {}).get('value'))

    def error(self, _driver, message):
        """The driver has ended: Mesos wants no more of this framework, or has not been there for too long."""
        self._tell(self._keeper.fail, message)


def read_update(status):
    """The :class:`Update` of a TaskStatus (dict). KeyError, TypeError or AttributeError if it is none."""
    state = status['state']
    return Update(status['task_id']['value'], state, (status.get('agent_id') or {}).get('value'),
                  status.get('source'), status.get('reason'), status.get('message'),
                  _returncode(status) if state != 'TASK_FINISHED' else 0)


def _returncode(status):
    """The return code in the data, which our executor puts there; None if there is none."""
    try:
        found = messages.loads(decode_data(status['data'])).get('returncode')
    except (KeyError, TypeError, ValueError, Base64Error, MessageError):
        return None
    return found if isinstance(found, six.integer_types) and not isinstance(found, bool) else None
