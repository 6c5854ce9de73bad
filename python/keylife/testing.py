# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""A Vault in memory for the tests of applications: with keys to rotate and suspend, rights to take away, and outages.

    vault = FakeVault("orders")
    orders = vault.client().key("orders")
    assert orders.decrypt(orders.encrypt(b"4111")) == b"4111"

It has no sockets and a clock of its own, which only the test moves. It knows what a client asks for and nothing else of
Vault: logins, the token's own renewal and lookup, and datakey, decrypt and rewrap of an engine, below any mount.
"""

import base64
import io
import json
import os
import re
import threading
import time
import weakref
from collections import Counter
from typing import Any, Dict, List, Optional, Set, Tuple

import requests
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from requests.adapters import BaseAdapter

from ._client import Client
from ._world import Background, Lock, Task, World
from .auth import AppRole

STATES = ("active", "suspended", "archived", "compromised", "retired", "destroyed")
OUTAGES = ("none", "down", "sealed", "busy", "failing", "slow", "garbled")
_OPENS = ("active", "compromised")
_ANSWERS = {
    "sealed": (503, {"errors": ["Vault is sealed"]}),
    "busy": (429, {"errors": ["request path: rate limit quota exceeded"]}),
    "failing": (500, {"errors": ["1 error occurred:\n\t* internal error\n\n"]}),
    "garbled": (200, None),
}
_ROUTES = (
    ("login", re.compile(r"/v1/auth/.+/login\Z")),
    ("renew", re.compile(r"/v1/auth/token/renew-self\Z")),
    ("lookup", re.compile(r"/v1/auth/token/lookup-self\Z")),
    ("datakey", re.compile(r"/v1/.+/datakey/plaintext/([^/]+)\Z")),
    ("decrypt", re.compile(r"/v1/.+/decrypt/([^/]+)\Z")),
    ("rewrap", re.compile(r"/v1/.+/rewrap/([^/]+)\Z")),
)
_DENIED = "1 error occurred:\n\t* permission denied\n\n"

Answer = Tuple[int, Optional[Dict[str, Any]]]


class FakeVault:
    """Begins with these keys, each with one version."""

    def __init__(self, *keys: str) -> None:
        self.requests: "Counter[str]" = Counter()  # by operation, those included that an outage kept from an answer
        self._world = _FakeWorld()
        self._lock = threading.Lock()
        self._keys: Dict[str, _FakeKey] = {}
        self._denied: Set[Tuple[str, str]] = set()
        self._tokens: Dict[str, _FakeToken] = {}
        self._outage = "none"
        self._refuse_logins = False
        self.set_tokens(24 * 3600, renewable=True)
        for key in keys:
            self.create_key(key)

    def client(self, **arguments: Any) -> Client:
        """A client of this Vault. It logs in, unless it is given another auth or a token (see new_token)."""
        if "token" not in arguments:
            arguments.setdefault("auth", AppRole("fake", "fake"))
        arguments.setdefault("url", "http://vault.invalid:8200")
        self._world.vault = self
        return Client(_world=self._world, **arguments)

    def new_token(self) -> str:
        """A token that has no end."""
        return self._issue(0, False)

    def create_key(self, name: str) -> None:
        if name in self._keys:
            raise ValueError(f"key {name!r} is there")
        self._keys[name] = _FakeKey(name)

    def rotate(self, name: str) -> None:
        """Gives a key a new version."""
        self._keys[name].rotate()

    def set_state(self, name: str, version: int, state: str) -> None:
        """Puts a version into a state. Only the newest version encrypts, and that while it is active."""
        self._keys[name].states[version - 1] = _one_of(state, STATES)

    def set_key_state(self, name: str, state: str) -> None:
        """Puts a key as a whole into a state, which is in force over those of its versions."""
        self._keys[name].state = _one_of(state, STATES)

    def set_min_decryption_version(self, name: str, version: int) -> None:
        """Makes older versions open nothing. The refusal has no code, as with Transit."""
        self._keys[name].minimum = version

    def deny(self, key: str, op: str) -> None:
        """Takes away the right to datakey, decrypt or rewrap of a key."""
        self._denied.add((key, _one_of(op, ("datakey", "decrypt", "rewrap"))))

    def allow(self, key: str, op: str) -> None:
        """Gives back what deny took."""
        self._denied.discard((key, op))

    def set_outage(self, outage: str) -> None:
        """Begins an outage, or ends one: none."""
        self._outage = _one_of(outage, OUTAGES)

    def revoke_tokens(self) -> None:
        """Makes all tokens invalid that were given out so far."""
        self._tokens.clear()

    def refuse_logins(self, refuse: bool = True) -> None:
        """Makes logins fail, as with a wrong secret, or succeed again."""
        self._refuse_logins = refuse

    def set_tokens(self, ttl: float, renewable: bool, max_ttl: float = 0) -> None:
        """What tokens logins give from now on. max_ttl is counted from the login, and no renewal goes beyond it; 0: none."""
        self._ttl, self._renewable, self._max_ttl = ttl, renewable, max_ttl

    def advance(self, seconds: float) -> None:
        """Moves the clock, and runs what clients do in the background meanwhile."""
        self._world.advance(seconds)

    def put_clock_back(self, seconds: float) -> None:
        """Sets the wall clock alone."""
        self._world.offset -= seconds

    def now(self) -> float:
        """The time of the clock, in seconds since it does not matter when."""
        return self._world.monotonic()

    # Answers.

    def _answer(self, method: str, path: str, token: str, body: Dict[str, Any]) -> Answer:
        op, key = _route(path)
        with self._lock:
            self.requests[op] += 1
        if self._outage in _ANSWERS:
            return _ANSWERS[self._outage]
        if op == "login":
            return self._log_in()
        held = self._tokens.get(token)
        if held is None or held.left(self.now()) < 0:
            return 403, {"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}
        if op in ("renew", "lookup"):
            return self._of_token(op, token, held)
        return self._of_key(op, key, body)

    def _log_in(self) -> Answer:
        if self._refuse_logins:
            return 400, {"errors": ["invalid role or secret ID"]}
        token = self._issue(self._ttl, self._renewable)
        return self._tokens[token].auth(token, self.now())

    def _issue(self, ttl: float, renewable: bool) -> str:
        token = "hvs." + os.urandom(16).hex()
        self._tokens[token] = _FakeToken(ttl, renewable, self.now(), self._max_ttl)
        return token

    def _of_token(self, op: str, token: str, held: "_FakeToken") -> Answer:
        if op == "lookup":
            return 200, {"data": {"ttl": max(int(held.left(self.now())), 0) if held.ttl else 0, "renewable": held.renewable}}
        if not held.renewable:
            return 400, {"errors": ["lease is not renewable"]}
        held.renew(self.now())
        return held.auth(token, self.now())

    def _of_key(self, op: str, name: str, body: Dict[str, Any]) -> Answer:
        key = self._keys.get(name)
        if (name, op) in self._denied:
            return 403, {"errors": [_DENIED]}
        if not op:
            return 404, {"errors": ["no handler for route. route entry not found."]}
        if key is None:
            return 400, {"errors": ["encryption key not found"]}
        return key.make() if op == "datakey" else key.batch(op, body)


def _one_of(value: str, values: Tuple[str, ...]) -> str:
    if value not in values:
        raise ValueError(f"{value!r}, want one of {', '.join(values)}")
    return value


def _route(path: str) -> Tuple[str, str]:
    for op, pattern in _ROUTES:
        match = pattern.match(path)
        if match:
            return op, match[1] if pattern.groups else ""
    return "", ""


class _FakeToken:
    def __init__(self, ttl: float, renewable: bool, made: float, max_ttl: float) -> None:
        self.ttl = ttl
        self.renewable = renewable
        self._last = made + max_ttl if max_ttl else float("inf")
        self.renew(made)

    def renew(self, now: float) -> None:
        self._ends = min(now + self.ttl, self._last) if self.ttl else float("inf")

    def left(self, now: float) -> float:
        return self._ends - now

    def auth(self, token: str, now: float) -> Answer:
        left = int(self.left(now)) if self.ttl else 0
        return 200, {"auth": {"client_token": token, "lease_duration": left, "renewable": self.renewable}}


class _FakeKey:
    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "active"
        self.minimum = 0
        self.states: List[str] = []
        self._versions: List[AESGCM] = []
        self.rotate()

    def rotate(self) -> None:
        self._versions.append(AESGCM(os.urandom(32)))
        self.states.append("active")

    def make(self) -> Answer:
        newest, state = len(self._versions), self.states[-1]
        denied = f'key "{self.name}" cannot encrypt: '
        if self.state != "active":
            return 400, {"errors": [f"{denied}the key as a whole is {self.state} [key_{self.state}]"]}
        if state != "active":
            return 400, {"errors": [f"{denied}its version {newest} is {state} [version_{state}]"]}
        plaintext = os.urandom(32)
        data = {"ciphertext": self._seal(plaintext), "plaintext": base64.b64encode(plaintext).decode(), "key_version": newest}
        return 200, {"data": data}

    def _seal(self, plaintext: bytes) -> str:
        nonce = os.urandom(12)
        sealed = nonce + self._versions[-1].encrypt(nonce, plaintext, None)
        return f"vault:v{len(self._versions)}:{base64.b64encode(sealed).decode()}"

    def batch(self, op: str, body: Dict[str, Any]) -> Answer:
        """A decrypt of which all items failed is answered with 400, one of which some failed as the request says."""
        items = body.get("batch_input")
        if not items:
            return 400, {"errors": ["missing batch input to process"]}
        results = [self._item(op, item["ciphertext"]) for item in items]
        failed = sum("error" in result for result in results)
        status = 200 if op == "rewrap" or not failed else 400
        if 0 < failed < len(results):
            status = body.get("partial_failure_response_code", status)
        return status, {"data": {"batch_results": results}}

    def _item(self, op: str, ciphertext: str) -> Dict[str, str]:
        plaintext, error = self._open(ciphertext)
        if error:
            return {"error": error, "reference": ""}
        if op == "rewrap":
            return {"ciphertext": self._seal(plaintext), "reference": ""}
        return {"plaintext": base64.b64encode(plaintext).decode(), "reference": ""}

    def _open(self, ciphertext: str) -> Tuple[bytes, str]:
        match = re.match(r"vault:v(\d+):(.*)\Z", ciphertext)
        if match is None:
            return b"", "invalid ciphertext: no prefix"
        version = int(match[1])
        refused = "ciphertext or signature version is disallowed by policy"
        if version > len(self._versions):
            return b"", "invalid ciphertext: version is too new"
        if self.state not in _OPENS:
            return b"", f'{refused}: key "{self.name}" is {self.state} [key_{self.state}]'
        if self.states[version - 1] not in _OPENS:
            return b"", f"{refused} (too old): version {version} is {self.states[version - 1]} [version_{self.states[version - 1]}]"
        if version < self.minimum:
            return b"", f"{refused} (too old)"
        return _unsealed(self._versions[version - 1], match[2])


def _unsealed(aead: AESGCM, text: str) -> Tuple[bytes, str]:
    try:
        sealed = base64.b64decode(text, validate=True)
    except ValueError:
        return b"", "invalid ciphertext: could not decode base64"
    if len(sealed) < 28:
        return b"", "invalid ciphertext length"
    try:
        return aead.decrypt(sealed[:12], sealed[12:], None), ""
    except InvalidTag:
        return b"", "cipher: message authentication failed"


class _FakeWorld(World):
    """Its clock stands until a test moves it, or a client sleeps. What runs in the background runs in the thread that moves it."""

    vault: FakeVault

    def __init__(self) -> None:
        self._mono = 1000.0
        self.offset = time.time() - self._mono
        self._lock = threading.RLock()
        self._tasks: "weakref.WeakSet[Task]" = weakref.WeakSet()

    def monotonic(self) -> float:  # type: ignore[override]
        return self._mono

    def wall(self) -> float:  # type: ignore[override]
        return self._mono + self.offset

    def random(self) -> float:  # type: ignore[override]
        return 0.5

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self.advance(seconds)

    def acquire(self, lock: Lock, seconds: float) -> bool:
        return bool(lock.acquire())  # another thread has it, which does not wait for the clock

    def http(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", _FakeTransport(self))
        return session

    def background(self, task: Task) -> Background:
        self._tasks.add(task)
        return _NoThread(self._tasks, task)

    def advance(self, seconds: float) -> None:
        with self._lock:
            end = self._mono + seconds
            while True:
                task = min(self._tasks, key=lambda task: task.due(), default=None)
                if task is None or task.due() > end:
                    break
                self._mono = max(self._mono, task.due())
                task.run()
            self._mono = max(self._mono, end)

    def move(self, seconds: float) -> None:
        """Time passes within a request, and nothing else happens."""
        self._mono += seconds


class _NoThread:
    def __init__(self, tasks: "weakref.WeakSet[Task]", task: Task) -> None:
        self._tasks = tasks
        self._task = weakref.ref(task)

    def wake(self) -> None:
        pass

    def close(self) -> None:
        task = self._task()
        if task is not None:
            self._tasks.discard(task)


class _FakeTransport(BaseAdapter):  # type: ignore[misc]
    def __init__(self, world: _FakeWorld) -> None:
        super().__init__()
        self._world = world

    def send(self, request: Any, stream: bool = False, timeout: Any = None, *_: Any, **__: Any) -> Any:
        vault = self._world.vault
        body = json.loads(request.body) if request.body else {}
        status, content = vault._answer(request.method, request.path_url, request.headers.get("X-Vault-Token", ""), body)
        if vault._outage == "down":
            raise requests.exceptions.ConnectionError("connection refused")
        if vault._outage == "slow":
            self._world.move(timeout.total)
            raise requests.exceptions.ReadTimeout("read timed out")
        response = requests.Response()
        response.status_code = status
        response.url, response.request = request.url, request
        response.headers["Content-Type"] = "application/json"
        response.raw = io.BytesIO(b"<html>Welcome</html>" if content is None else json.dumps(content).encode())
        return response

    def close(self) -> None:
        pass
