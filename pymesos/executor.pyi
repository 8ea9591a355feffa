from typing import Any, Dict, Mapping, Optional
from uuid import UUID

from .interface import ExecutorDriver
from .process import Process, _Tls

__all__ = ['MesosExecutorDriver']

PATH: str
DEFAULT_RECOVERY_TIMEOUT: str
DEFAULT_BACKOFF_MAX: str
REMEMBERED_UUIDS: int

_Message = Dict[str, Any]

class MesosExecutorDriver(Process, ExecutorDriver):
    executor: Any
    framework_id: _Message
    executor_id: _Message
    framework_info: Optional[_Message]
    executor_info: Optional[_Message]
    checkpoint: bool
    local: bool
    grace_shutdown_period: float
    recovery_timeout: float
    subscription_backoff_max: float
    tasks: Mapping[str, _Message]
    updates: Mapping[UUID, _Message]
    def __init__(self, executor: object, use_addict: bool = ..., timeout: float = ..., http_timeout: float = ..., *,
                 tls: _Tls = ..., connect_timeout: float = ..., call_timeout: float = ..., max_record: int = ...,
                 max_queued: int = ...) -> None: ...
    def _send(self, body: _Message, path: Optional[str] = ..., method: str = ...,
              headers: Optional[Dict[str, str]] = ...) -> _Message: ...
    def on_subscribed(self, info: _Message) -> None: ...
    def on_launch(self, event: _Message) -> None: ...
    def on_launch_group(self, event: _Message) -> None: ...
    def on_kill(self, event: _Message) -> None: ...
    def on_acknowledged(self, event: _Message) -> None: ...
    def on_message(self, event: _Message) -> None: ...
    def on_error(self, event: _Message) -> None: ...
    def on_heartbeat(self, _event: Optional[_Message]) -> None: ...
    def on_shutdown(self, _event: Optional[_Message] = ...) -> None: ...
