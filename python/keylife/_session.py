# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The token: logs in with the first request, renews ahead, and logs in again when it must. No lock is held over a renewal."""

import math
import threading
from typing import Any, Callable, Dict, NamedTuple, Optional

from ._backoff import Backoff
from ._http import ATTEMPT, UNREADABLE, Http
from ._world import Moment, World
from .auth import Auth, Cert, Login, granted, looked_up
from .errors import AccessDenied, KeylifeError, Unavailable

_AGAIN = 10.0  # seconds between two logins that a refusal of one key may cause
_RENEW = 2 / 3  # of a token's lifetime
_GIVE_UP = 0.9  # of a token's lifetime: no more renewals after it


class _Token(NamedTuple):
    value: str
    ttl: float  # 0: for ever
    renewable: bool
    since: Moment

    def left(self, now: Moment) -> float:
        return self.ttl - self.since.age(now) if self.ttl > 0 else math.inf


class Session:
    def __init__(self, http: Http, world: World, auth: Optional[Auth], bare: str) -> None:
        self._http = http
        self._world = world
        self._auth = auth
        self._bare = bare  # the token of a client that has no auth
        self._token: Optional[_Token] = None
        self._due = math.inf
        self.reset()

    def reset(self) -> None:
        """Begins with new locks and keeps the token."""
        self._turn = threading.Lock()
        self._backoff = Backoff(self._world)
        self._again: Dict[str, float] = {}

    def token(self, until: float) -> str:
        """The token, of a login if there is none."""
        token = self._token
        if token is None or (self._auth is not None and token.left(self._world.now()) <= 0):
            token = self._log_in(token, until)
        return token.value

    def after_refusal(self, refused: str, key: str, until: float) -> Optional[str]:
        """Another token than the one that was refused for this key, or None."""
        if self._auth is None:
            return None
        with _Held(self._world, self._turn, until):  # a login that is under way is waited for
            token = self._token
            if token is not None and token.value != refused:
                return token.value
            now = self._world.monotonic()
            if now - self._again.get(key, -math.inf) < _AGAIN:
                return None
            self._again[key] = now
            return self._fetch(until).value

    def check(self, until: float) -> None:
        """Finds out whether Vault answers."""
        token = self.token(until)
        if self._auth is None:
            try:
                self._asking("lookup", until)("get", "auth/token/lookup-self", None, token)
            except AccessDenied:
                pass  # that is an answer too

    def due(self) -> float:
        return self._due

    def run(self) -> None:
        """Renews the token, or makes it anew."""
        now = self._world.now()
        token, until = self._token, now.mono + ATTEMPT
        if token is None:
            self._due = math.inf
            return
        try:
            self._refresh(token, now, until)
        except Unavailable as error:
            self._later(token, now, self._backoff.failed(error))
        except AccessDenied as error:
            self._later(token, now, math.inf if self._auth is None else max(self._backoff.failed(error), now.mono + 1))

    def _later(self, token: _Token, now: Moment, retry: float) -> None:
        """Tries again, at the latest when renewing is given up. Where the token has ended, the next use logs in."""
        give_up = self._give_up(token, now)
        if token.left(now) <= 0:
            self._due = math.inf
        else:
            self._due = min(retry, give_up) if give_up > now.mono else retry

    @staticmethod
    def _give_up(token: _Token, now: Moment) -> float:
        """When no more renewals are tried, by the monotonic clock."""
        return math.floor(now.mono + _GIVE_UP * token.ttl - token.since.age(now)) if token.ttl > 0 else math.inf

    def _refresh(self, token: _Token, now: Moment, until: float) -> None:
        if self._auth is None and token.ttl < 0:  # nothing is known of it yet
            self._set(self._read(lambda: looked_up(token.value, self._asking("lookup", until))), now)
        elif token.renewable and now.mono < self._give_up(token, now):
            self._renew(token, now, until)
        elif self._auth is not None:
            self._log_in(token, until)
        else:
            self._due = math.inf

    def _renew(self, token: _Token, now: Moment, until: float) -> None:
        try:
            login = self._read(lambda: granted(self._asking("renew", until)("post", "auth/token/renew-self", {}, token.value)))
        except AccessDenied:
            login = None
        if self._auth is not None and (login is None or login.ttl < token.ttl / 2):
            self._log_in(token, until)
        elif login is None:
            self._due = math.inf
        else:
            self._set(login, now)

    def _log_in(self, old: Optional[_Token], until: float) -> _Token:
        with _Held(self._world, self._turn, until):
            token = self._token
            if token is not None and token is not old:
                return token
            return self._fetch(until)

    def _fetch(self, until: float) -> _Token:
        now = self._world.now()
        if self._auth is None:
            return self._set(Login(self._bare, -1, False), now)
        if isinstance(self._auth, Cert):
            self._http.reset()  # a new handshake, with the certificate that is there now
        auth = self._auth
        return self._set(self._read(lambda: auth.login(self._asking("login", until))), now)

    def _read(self, get: Callable[[], Login]) -> Login:
        """What a login answered. Where it did not do what it should, that is tried again like an outage."""
        try:
            return get()
        except KeylifeError:
            raise
        except OSError as error:
            reason = f"vault is unavailable: a credential cannot be read: {error}"
        except (LookupError, TypeError, ValueError):
            reason = UNREADABLE
        except Exception as error:
            reason = f"vault is unavailable: the login raised {type(error).__name__}"
        raise Unavailable(reason)

    def _set(self, login: Login, now: Moment) -> _Token:
        check_token(login.token)
        self._backoff.succeeded()
        token = _Token(login.token, login.ttl, login.renewable, now)
        self._token = token
        if login.ttl < 0:
            self._due = now.mono
        elif login.ttl > 0 and (login.renewable or self._auth is not None):
            self._due = now.mono + login.ttl * _RENEW * (0.9 + 0.2 * self._world.random())
        else:
            self._due = math.inf
        return token

    def _asking(self, op: str, until: float) -> Callable[..., Dict[str, Any]]:
        def ask(method: str, path: str, body: Optional[Dict[str, Any]] = None, token: str = "") -> Dict[str, Any]:
            answer = self._http.ask(method, path, body, token, until, ("", op))
            if answer.status >= 400:
                raise AccessDenied(f"access denied: {op}: {answer.errors}")
            return answer.body

        return ask


class _Held:
    """A lock that is waited for until a time."""

    def __init__(self, world: World, lock: Any, until: float) -> None:
        if not world.acquire(lock, until - world.monotonic()):
            raise Unavailable("vault is unavailable: no login in time")
        self._lock = lock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def check_token(token: str) -> None:
    """A token becomes a header. Its value never becomes part of an error."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AccessDenied("access denied: the token is empty or has characters that no token has")
