# Whether files are of bytes or of text follows from the arguments, as in the standard library's stub.
import os
import subprocess as _subprocess
from types import TracebackType
from typing import (IO, Any, Callable, Dict, Generic, Iterable, Literal, Mapping, Optional, Sequence, Tuple, Type,
                    TypedDict, TypeVar, Union, overload)

from typing_extensions import Self, Unpack

from ..errors import MesosError

__all__ = ['CONFIG', 'CalledProcessError', 'Cluster', 'CompletedProcess', 'DEVNULL', 'PIPE', 'Popen', 'STDOUT',
           'StartFailed', 'StartTimeout', 'SubprocessError', 'TaskLost', 'TimeoutExpired', 'call', 'check_call',
           'check_output', 'configure', 'getoutput', 'getstatusoutput', 'run']

_T = TypeVar('_T', str, bytes)
_Path = Union[str, bytes, 'os.PathLike[str]', 'os.PathLike[bytes]']
_Command = Union[_Path, Sequence[_Path]]
_File = Union[None, int, IO[Any]]
_Environment = Union[Mapping[str, _Path], Mapping[bytes, _Path]]

CONFIG: Dict[str, Any]
PIPE: int
STDOUT: int
DEVNULL: int

CalledProcessError = _subprocess.CalledProcessError
SubprocessError = _subprocess.SubprocessError
TimeoutExpired = _subprocess.TimeoutExpired

class TaskLost(SubprocessError, MesosError):
    task_id: Optional[str]
    agent_id: Optional[str]
    state: Optional[str]
    reason: Optional[str]
    message: Optional[str]
    def __init__(self, text: str, task_id: Optional[str] = ..., agent_id: Optional[str] = ...,
                 state: Optional[str] = ..., reason: Optional[str] = ..., message: Optional[str] = ...) -> None: ...

class StartFailed(SubprocessError, MesosError):
    state: Optional[str]
    reason: Optional[str]
    message: Optional[str]
    def __init__(self, text: str, state: Optional[str] = ..., reason: Optional[str] = ...,
                 message: Optional[str] = ...) -> None: ...

class StartTimeout(StartFailed):
    timeout: Optional[float]
    def __init__(self, text: str, timeout: Optional[float] = ...) -> None: ...

class _Settings(TypedDict, total=False):
    principal: Optional[str]
    secret: Union[None, str, bytes]
    tls: Any
    default_cpus: Optional[float]
    default_mem: Optional[float]
    default_gpus: Optional[int]
    default_disk: Optional[float]
    role: Optional[str]
    user: Optional[str]
    name: Optional[str]
    failover_timeout: Optional[float]
    checkpoint: Optional[bool]
    host: Optional[str]
    port: Optional[int]
    advertised_host: Optional[str]
    advertised_port: Optional[int]
    python: Optional[str]
    executor_resources: Any
    executor_idle: Optional[float]
    use_installed_executor: Optional[bool]
    executor_environment: Optional[Dict[str, str]]
    containerizer: Optional[Literal['mesos', 'docker']]
    start_timeout: Optional[float]
    max_retries: Optional[int]
    master_timeout: Optional[float]

class _SettingsAndMaster(_Settings, total=False):
    master: Optional[str]

def configure(**options: Unpack[_SettingsAndMaster]) -> None: ...

class Cluster:
    settings: Any
    def __init__(self, master: Optional[str] = ..., **options: Unpack[_Settings]) -> None: ...
    @property
    def framework_id(self) -> Optional[str]: ...
    def close(self, timeout: float = ...) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None: ...

# What is taken by name: the standard library's, and ours.
class _ByName(TypedDict, total=False):
    umask: int
    user: Union[None, int, str]
    group: Union[None, int, str]
    extra_groups: Optional[Iterable[Union[int, str]]]
    pipesize: int
    process_group: Optional[int]
    cpus: Optional[float]
    mem: Optional[float]
    gpus: Optional[int]
    disk: Optional[float]
    role: Optional[str]
    constraints: Union[None, str, Sequence[str], Mapping[str, Any]]
    image: Union[None, str, Dict[str, Any]]
    uris: Optional[Sequence[Union[str, Dict[str, Any]]]]
    name: Optional[str]
    labels: Optional[Mapping[str, str]]
    max_retries: Optional[int]
    start_timeout: Optional[float]
    cluster: Optional[Cluster]

# What functions take by name and pass on.
class _PassedOn(_ByName, total=False):
    bufsize: int
    executable: Optional[_Path]
    stdin: _File
    stderr: _File
    preexec_fn: Optional[Callable[[], Any]]
    close_fds: bool
    shell: bool
    cwd: Optional[_Path]
    env: Optional[_Environment]
    restore_signals: bool
    start_new_session: bool
    timeout: Optional[float]

class _PassedOnWithOutput(_PassedOn, total=False):
    stdout: _File

class _ForRun(_PassedOnWithOutput, total=False):
    capture_output: bool
    check: bool

class _OfAnyKind(_PassedOnWithOutput, total=False):
    text: Optional[bool]
    universal_newlines: Optional[bool]
    encoding: Optional[str]
    errors: Optional[str]

class Popen(Generic[_T]):
    args: Any
    pid: Any
    returncode: Any
    stdin: Optional[IO[_T]]
    stdout: Optional[IO[_T]]
    stderr: Optional[IO[_T]]
    text_mode: bool
    encoding: Optional[str]
    errors: Optional[str]
    pipesize: int
    @overload
    def __init__(self: Popen[str], args: _Command, bufsize: int = ..., executable: Optional[_Path] = ...,
                 stdin: _File = ..., stdout: _File = ..., stderr: _File = ...,
                 preexec_fn: Optional[Callable[[], Any]] = ..., close_fds: bool = ..., shell: bool = ...,
                 cwd: Optional[_Path] = ..., env: Optional[_Environment] = ...,
                 universal_newlines: Optional[bool] = ...,
                 startupinfo: None = ..., creationflags: int = ..., restore_signals: bool = ...,
                 start_new_session: bool = ..., pass_fds: Tuple[()] = ..., *, text: Literal[True],
                 encoding: Optional[str] = ..., errors: Optional[str] = ..., **options: Unpack[_ByName]) -> None: ...
    @overload
    def __init__(self: Popen[str], args: _Command, bufsize: int = ..., executable: Optional[_Path] = ...,
                 stdin: _File = ..., stdout: _File = ..., stderr: _File = ...,
                 preexec_fn: Optional[Callable[[], Any]] = ..., close_fds: bool = ..., shell: bool = ...,
                 cwd: Optional[_Path] = ..., env: Optional[_Environment] = ...,
                 universal_newlines: Optional[bool] = ...,
                 startupinfo: None = ..., creationflags: int = ..., restore_signals: bool = ...,
                 start_new_session: bool = ..., pass_fds: Tuple[()] = ..., *, text: Optional[bool] = ...,
                 encoding: str, errors: Optional[str] = ..., **options: Unpack[_ByName]) -> None: ...
    @overload
    def __init__(self: Popen[str], args: _Command, bufsize: int = ..., executable: Optional[_Path] = ...,
                 stdin: _File = ..., stdout: _File = ..., stderr: _File = ...,
                 preexec_fn: Optional[Callable[[], Any]] = ..., close_fds: bool = ..., shell: bool = ...,
                 cwd: Optional[_Path] = ..., env: Optional[_Environment] = ...,
                 universal_newlines: Optional[bool] = ...,
                 startupinfo: None = ..., creationflags: int = ..., restore_signals: bool = ...,
                 start_new_session: bool = ..., pass_fds: Tuple[()] = ..., *, text: Optional[bool] = ...,
                 encoding: Optional[str] = ..., errors: str, **options: Unpack[_ByName]) -> None: ...
    @overload
    def __init__(self: Popen[str], args: _Command, bufsize: int = ..., executable: Optional[_Path] = ...,
                 stdin: _File = ..., stdout: _File = ..., stderr: _File = ...,
                 preexec_fn: Optional[Callable[[], Any]] = ..., close_fds: bool = ..., shell: bool = ...,
                 cwd: Optional[_Path] = ..., env: Optional[_Environment] = ...,
                 *, universal_newlines: Literal[True],
                 startupinfo: None = ..., creationflags: int = ..., restore_signals: bool = ...,
                 start_new_session: bool = ..., pass_fds: Tuple[()] = ..., text: Optional[bool] = ...,
                 encoding: Optional[str] = ..., errors: Optional[str] = ..., **options: Unpack[_ByName]) -> None: ...
    @overload
    def __init__(self: Popen[bytes], args: _Command, bufsize: int = ..., executable: Optional[_Path] = ...,
                 stdin: _File = ..., stdout: _File = ..., stderr: _File = ...,
                 preexec_fn: Optional[Callable[[], Any]] = ..., close_fds: bool = ..., shell: bool = ...,
                 cwd: Optional[_Path] = ..., env: Optional[_Environment] = ...,
                 universal_newlines: Literal[False, None] = ...,
                 startupinfo: None = ..., creationflags: int = ..., restore_signals: bool = ...,
                 start_new_session: bool = ..., pass_fds: Tuple[()] = ..., *, text: Literal[False, None] = ...,
                 encoding: None = ..., errors: None = ..., **options: Unpack[_ByName]) -> None: ...
    @overload
    def __init__(self: Popen[Any], args: _Command, bufsize: int = ..., executable: Optional[_Path] = ...,
                 stdin: _File = ..., stdout: _File = ..., stderr: _File = ...,
                 preexec_fn: Optional[Callable[[], Any]] = ..., close_fds: bool = ..., shell: bool = ...,
                 cwd: Optional[_Path] = ..., env: Optional[_Environment] = ...,
                 universal_newlines: Optional[bool] = ...,
                 startupinfo: None = ..., creationflags: int = ..., restore_signals: bool = ...,
                 start_new_session: bool = ..., pass_fds: Tuple[()] = ..., *, text: Optional[bool] = ...,
                 encoding: Optional[str] = ..., errors: Optional[str] = ..., **options: Unpack[_ByName]) -> None: ...
    @property
    def universal_newlines(self) -> bool: ...
    @universal_newlines.setter
    def universal_newlines(self, value: bool) -> None: ...
    @property
    def hostname(self) -> Optional[str]: ...
    @property
    def agent_id(self) -> Optional[str]: ...
    @property
    def task_id(self) -> Optional[str]: ...
    @property
    def state(self) -> Optional[str]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None: ...
    def poll(self) -> Optional[int]: ...
    def wait(self, timeout: Optional[float] = ...) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def cancel(self) -> None: ...
    def communicate(self, input: Optional[_T] = ..., timeout: Optional[float] = ...) -> Tuple[Any, Any]: ...
    def __class_getitem__(cls, item: Any, /) -> Any: ...

class CompletedProcess(Generic[_T]):
    args: Any
    returncode: int
    stdout: Any
    stderr: Any
    def __init__(self, args: Any, returncode: int, stdout: Optional[_T] = ..., stderr: Optional[_T] = ...) -> None: ...
    def check_returncode(self) -> None: ...
    def __class_getitem__(cls, item: Any, /) -> Any: ...

def call(args: _Command, **options: Unpack[_OfAnyKind]) -> int: ...
def check_call(args: _Command, **options: Unpack[_OfAnyKind]) -> int: ...
def getstatusoutput(cmd: _Command, encoding: Optional[str] = ..., errors: Optional[str] = ...) -> Tuple[int, str]: ...
def getoutput(cmd: _Command, encoding: Optional[str] = ..., errors: Optional[str] = ...) -> str: ...
def list2cmdline(seq: Iterable[_Path]) -> str: ...
@overload
def run(args: _Command, *, input: Optional[str] = ..., universal_newlines: Optional[bool] = ...,
        text: Literal[True], encoding: Optional[str] = ..., errors: Optional[str] = ...,
        **options: Unpack[_ForRun]) -> CompletedProcess[str]: ...
@overload
def run(args: _Command, *, input: Optional[str] = ..., universal_newlines: Optional[bool] = ...,
        text: Optional[bool] = ..., encoding: str, errors: Optional[str] = ...,
        **options: Unpack[_ForRun]) -> CompletedProcess[str]: ...
@overload
def run(args: _Command, *, input: Optional[str] = ..., universal_newlines: Optional[bool] = ...,
        text: Optional[bool] = ..., encoding: Optional[str] = ..., errors: str,
        **options: Unpack[_ForRun]) -> CompletedProcess[str]: ...
@overload
def run(args: _Command, *, input: Optional[str] = ..., universal_newlines: Literal[True],
        text: Optional[bool] = ..., encoding: Optional[str] = ..., errors: Optional[str] = ...,
        **options: Unpack[_ForRun]) -> CompletedProcess[str]: ...
@overload
def run(args: _Command, *, input: Optional[bytes] = ..., universal_newlines: Literal[False, None] = ...,
        text: Literal[False, None] = ..., encoding: None = ..., errors: None = ...,
        **options: Unpack[_ForRun]) -> CompletedProcess[bytes]: ...
@overload
def run(args: _Command, *, input: Union[None, str, bytes] = ..., universal_newlines: Optional[bool] = ...,
        text: Optional[bool] = ..., encoding: Optional[str] = ..., errors: Optional[str] = ...,
        **options: Unpack[_ForRun]) -> CompletedProcess[Any]: ...
@overload
def check_output(args: _Command, *, input: Optional[str] = ..., universal_newlines: Optional[bool] = ...,
                 text: Literal[True], encoding: Optional[str] = ..., errors: Optional[str] = ...,
                 **options: Unpack[_PassedOn]) -> str: ...
@overload
def check_output(args: _Command, *, input: Optional[str] = ..., universal_newlines: Optional[bool] = ...,
                 text: Optional[bool] = ..., encoding: str, errors: Optional[str] = ...,
                 **options: Unpack[_PassedOn]) -> str: ...
@overload
def check_output(args: _Command, *, input: Optional[str] = ..., universal_newlines: Optional[bool] = ...,
                 text: Optional[bool] = ..., encoding: Optional[str] = ..., errors: str,
                 **options: Unpack[_PassedOn]) -> str: ...
@overload
def check_output(args: _Command, *, input: Optional[str] = ..., universal_newlines: Literal[True],
                 text: Optional[bool] = ..., encoding: Optional[str] = ..., errors: Optional[str] = ...,
                 **options: Unpack[_PassedOn]) -> str: ...
@overload
def check_output(args: _Command, *, input: Optional[bytes] = ..., universal_newlines: Literal[False, None] = ...,
                 text: Literal[False, None] = ..., encoding: None = ..., errors: None = ...,
                 **options: Unpack[_PassedOn]) -> bytes: ...
@overload
def check_output(args: _Command, *, input: Union[None, str, bytes] = ..., universal_newlines: Optional[bool] = ...,
                 text: Optional[bool] = ..., encoding: Optional[str] = ..., errors: Optional[str] = ...,
                 **options: Unpack[_PassedOn]) -> Any: ...
