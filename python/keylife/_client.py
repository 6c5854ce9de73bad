# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Client: puts the parts together, and owns what runs in the background."""

import heapq
import os
import re
import threading
import weakref
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from ._engine import MAX_BATCH, Engine
from ._frame import check_name
from ._http import Address, Http
from ._key import Key
from ._keyring import Keyring
from ._metrics import KeyStats, Metrics
from ._offline import Keeper
from ._sealed import Binding, SealedFile
from ._session import Session
from ._surroundings import Surroundings
from ._world import Task, World
from .auth import Auth, read_secret
from .bounds import Bounds, Offline
from .errors import ClientClosed, KeylifeError, Unavailable

MAX_DATA_KEYS = 10_000
_AGENT = "keylife-python/0.1"
_MOUNT = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*\Z")
_CONSUMER = re.compile(r"[A-Za-z0-9_./:@ -]{0,128}\Z")


class Client:
    """Gives keys. It may be used by many threads at once, and over a fork.

    url is VAULT_ADDR where it is not given, namespace VAULT_NAMESPACE, verify VAULT_CACERT, and token, which is for clients
    without auth, VAULT_TOKEN or ~/.vault-token. Nobody is asked before the first use, unless wait says for how many seconds
    Vault is waited for. timeout is that of a use, in seconds.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        *,
        auth: Optional[Auth] = None,
        token: Optional[str] = None,
        mount: str = "keylife",
        consumer: str = "",
        namespace: Optional[str] = None,
        verify: Union[bool, str] = True,
        cert: Optional[Tuple[str, str]] = None,
        bounds: Bounds = Bounds(),
        offline: Optional[Offline] = None,
        timeout: float = 10.0,
        wait: float = 0.0,
        metrics: Optional[Metrics] = None,
        _world: Optional[World] = None,
    ) -> None:
        address = _address(url, namespace, verify, cert, consumer)
        mount = check_mount(mount)
        if auth is not None and token is not None:
            raise ValueError("auth and token exclude each other")
        if not timeout > 0 or not wait >= 0:
            raise ValueError(f"timeout: {timeout}, wait: {wait}: want more than 0, and 0 or more")
        world = _world or World()
        http = Http(address, world, metrics)
        session = Session(http, world, auth, _bare_token(token) if auth is None else "")
        self._metrics = metrics
        self._core = _Core(http, session, Engine(http, session, mount), bounds, world, timeout)
        if offline is not None:
            file = SealedFile(offline.path, offline.sealer, Binding(address.url, address.namespace or "", mount), offline.for_)
            self._core.keep(file, offline.for_)
        _CORES.add(self._core)
        if wait:
            self._core.wait(wait)

    def key(self, name: str) -> Key:
        """The key of a name. Nobody is asked."""
        check_name(name)
        return Key(self, self._core.ring(name), self._metrics)

    def stats(self) -> List[KeyStats]:
        """How the keys in use stand."""
        return [ring.stats() for ring in self._core.rings()]

    def close(self) -> None:
        """Ends what runs in the background and drops the data keys. Every use after it raises ClientClosed."""
        self._core.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Core:
    """What a client runs in the background. Its thread holds it only while it works, so that a client that is dropped ends."""

    def __init__(self, http: Http, session: Session, engine: Engine, bounds: Bounds, world: World, timeout: float) -> None:
        self._http = http
        self._session = session
        self._world = world
        self._lock = threading.Lock()
        self._rings: Dict[str, Keyring] = {}
        self._keeper: Optional[Keeper] = None
        evict = weakref.WeakMethod(self._evict)
        self._around = Surroundings(engine, bounds, world, timeout, world.background(self), lambda: (evict() or _nothing)())

    def keep(self, file: SealedFile, seconds: float) -> None:
        """Keeps data keys in a file. It is read if the first request of all is answered by nobody."""
        around = self._around
        around.retain = seconds
        around.kept = self._keeper = Keeper(file, seconds, around.bounds, around.world, weakref.proxy(self))
        self._http.on_first_outage = self._keeper.restore

    def ring(self, name: str) -> Keyring:
        with self._lock:
            ring = self._rings.get(name)
            if ring is None:
                ring = self._rings[name] = Keyring(name, self._around)
            return ring

    def rings(self) -> List[Keyring]:
        return list(self._rings.values())

    def decrypt_by(self, mount: str, key: str, ciphertexts: Sequence[str]) -> List[Union[bytes, KeylifeError]]:
        """Ciphertexts of Transit at any mount, of before: see keylife.legacy."""
        if self._around.closed:
            raise ClientClosed
        engine = Engine(self._http, self._session, mount)
        results: List[Union[bytes, KeylifeError]] = []
        for start in range(0, len(ciphertexts), MAX_BATCH):
            until = self._world.monotonic() + self._around.timeout
            results += engine.decrypt(key, ciphertexts[start : start + MAX_BATCH], until)
        return results

    def wait(self, seconds: float) -> None:
        """Waits for Vault to answer."""
        until = self._world.monotonic() + seconds
        while True:
            try:
                self._session.check(until)
                return
            except Unavailable:
                pause = 0.1 + self._world.random()
                if self._world.monotonic() + pause >= until:
                    raise
                self._world.sleep(pause)

    def due(self) -> float:
        return min(task.due() for task in self._tasks())

    def run(self) -> None:
        """Does the one thing that is due first: no key waits for all the others."""
        if self._around.closed:
            return
        min(self._tasks(), key=lambda task: task.due()).run()

    def _tasks(self) -> List[Task]:
        keeper = [] if self._keeper is None else [self._keeper]
        return [*keeper, self._session, *self.rings()]

    def close(self) -> None:
        self._around.closed = True
        self._around.background.close()
        if self._keeper is not None:
            self._keeper.close()
        for ring in self.rings():
            ring.clear()
        self._http.close()

    def after_fork(self) -> None:
        """In the child: sockets, locks, the thread and the counts of the data key that encrypts are not shared."""
        self._lock = threading.Lock()
        self._http.reset()
        self._session.reset()
        self._around.background = self._world.background(self)
        for ring in self.rings():
            ring.reset()

    def _evict(self) -> None:
        """Keeps the data keys that were used last."""
        over = sum(len(ring.openings) for ring in self.rings()) - MAX_DATA_KEYS
        if over <= 0:
            return
        uses = ((last, ring.name, edk) for ring in self.rings() for last, edk in ring.openings.uses())
        for _, name, edk in heapq.nsmallest(over + MAX_DATA_KEYS // 16, uses):
            self._rings[name].openings.drop(edk)


def _nothing() -> None:
    pass


_CORES: "weakref.WeakSet[_Core]" = weakref.WeakSet()


def _after_fork() -> None:
    for core in list(_CORES):
        core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def check_mount(mount: str) -> str:
    mount = mount.strip("/")
    if not _MOUNT.match(mount) or any(part in (".", "..") for part in mount.split("/")):
        raise ValueError(f"mount: {mount!r}, want the path of an engine")
    return mount


def _address(
    url: Optional[str], namespace: Optional[str], verify: Union[bool, str], cert: Optional[Tuple[str, str]], consumer: str
) -> Address:
    url = url or os.environ.get("VAULT_ADDR") or ""
    if not url.startswith(("http://", "https://")):
        raise ValueError("url: not given and not in VAULT_ADDR" if not url else "url: want http:// or https://")
    if not _CONSUMER.match(consumer):
        raise ValueError(f"consumer: {consumer!r}, want at most 128 letters, digits, spaces and '_ . / : @ -'")
    if verify is True:
        verify = os.environ.get("VAULT_CACERT") or True
    agent = f"{_AGENT} ({consumer})" if consumer else _AGENT
    return Address(url, namespace or os.environ.get("VAULT_NAMESPACE") or None, verify, cert, agent)


def _bare_token(token: Optional[str]) -> str:
    """The token of a client without auth."""
    if token is None:
        token = os.environ.get("VAULT_TOKEN")
    if token is None:
        path = Path.home() / ".vault-token"
        token = read_secret(str(path)) if path.is_file() else ""
    return token.strip()
