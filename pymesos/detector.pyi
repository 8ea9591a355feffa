from typing import Callable, Optional, Tuple

from .utils import Address

__all__ = ['Detector', 'FixedDetector', 'LocalDetector', 'ZooKeeperDetector', 'detect']

ZOOKEEPER_PORT: int
FILE_LIMIT: int
GRACE: float
FORMS: str

_Listener = Callable[[Tuple[Address, ...]], object]

def detect(master_uri: str, listener: _Listener, scheme: str = ...) -> Detector: ...

class Detector:
    def __init__(self, name: str, listener: _Listener) -> None: ...
    def prepare(self) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...

class FixedDetector(Detector):
    def __init__(self, uri: str, listener: _Listener, scheme: str = ...) -> None: ...

class LocalDetector(Detector):
    def __init__(self, listener: _Listener) -> None: ...

class ZooKeeperDetector(Detector):
    def __init__(self, uri: str, listener: _Listener, scheme: str = ...) -> None: ...

def parse_zookeeper(uri: str) -> Tuple[str, str, Optional[str]]: ...
