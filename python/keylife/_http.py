# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Sends requests to Vault and tells an outage from an answer. It knows no data key and no token of its own."""

import json
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

import hvac.adapters
import urllib3.util

from ._metrics import Metrics, outcome_of
from ._world import World
from .errors import Unavailable

ATTEMPT = 5.0  # seconds that one request lasts at most
MAX_RETRY_AFTER = 10.0
UNREADABLE = "vault is unavailable: it answered what cannot be read"
_OUTAGES = frozenset((408, 412, 429, 472, 473))


class Outage(Unavailable):
    """Unavailable, and how long Vault asks to be left alone."""

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Answer(NamedTuple):
    """What Vault answered, if it did: 2xx or 4xx."""

    status: int
    body: Dict[str, Any]

    @property
    def errors(self) -> str:
        """Vault's words."""
        errors = self.body.get("errors")
        texts = [text for text in errors if isinstance(text, str)] if isinstance(errors, list) else []
        return " ".join("; ".join(texts).split()) or f"status {self.status}"


class Address(NamedTuple):
    """Where Vault is and how it is reached."""

    url: str
    namespace: Optional[str]
    verify: Union[bool, str]
    cert: Optional[Tuple[str, str]]
    agent: str  # User-Agent


class Http:
    def __init__(self, address: Address, world: World, metrics: Optional[Metrics]) -> None:
        self._address = address
        self._world = world
        self._metrics = metrics
        self.on_first_outage: Optional[Callable[[], None]] = None  # called if nobody answers the first request
        self.reset()

    def reset(self) -> None:
        """Begins with new sockets, and reads the certificates of TLS anew."""
        address, session = self._address, self._world.http()
        session.headers["User-Agent"] = address.agent
        session.cert, session.verify = address.cert, address.verify
        self._adapter = hvac.adapters.RawAdapter(
            base_uri=address.url, namespace=address.namespace, cert=address.cert, verify=address.verify, session=session
        )

    def close(self) -> None:
        self._adapter.close()

    def ask(
        self, method: str, path: str, body: Optional[Dict[str, Any]], token: str, until: float, about: Tuple[str, str]
    ) -> Answer:
        """Sends one request. About is the key and the operation, for the metrics. Raises Outage."""
        ended = self._metrics.request(*about) if self._metrics is not None else _nobody
        try:
            answer = self._send(method, path, body, token, until)
        except Outage as error:
            ended(outcome_of(error))
            first, self.on_first_outage = self.on_first_outage, None
            if first is not None:
                first()
            raise
        self.on_first_outage = None
        ended("ok" if answer.status < 400 else "access_denied" if answer.status in (401, 403) else "key_state")
        return answer

    def _send(self, method: str, path: str, body: Optional[Dict[str, Any]], token: str, until: float) -> Answer:
        left = until - self._world.monotonic()
        if left <= 0:
            raise Outage("vault is unavailable: no time was left for a request")
        headers = {"X-Vault-Token": token} if token else {}
        timeout = urllib3.util.Timeout(total=min(left, ATTEMPT))
        try:
            response = self._adapter.request(
                method, f"v1/{path}", headers=headers, json=body, timeout=timeout, raise_exception=False
            )
            status, wait, content = response.status_code, response.headers.get("Retry-After", ""), response.content
        except (OSError, ValueError) as error:  # of requests too
            reason = f"{type(error).__name__}: {error}"
        else:
            return _sorted(status, _seconds(wait, self._world.wall()), content)
        raise Outage(f"vault is unavailable: {reason}")  # outside, so that it does not carry the request


def _sorted(status: int, wait: float, content: bytes) -> Answer:
    if status in _OUTAGES or not (200 <= status < 300 or 400 <= status < 500):
        raise Outage(f"vault is unavailable: status {status}", wait)
    return Answer(status, _parsed(status, content))


def _parsed(status: int, content: bytes) -> Dict[str, Any]:
    try:
        body = json.loads(content) if content else {}
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if status >= 400:  # a no in other words, of a proxy for example, is a no
        return {}
    raise unreadable()


def unreadable() -> Outage:
    return Outage(UNREADABLE)


def _seconds(text: str, now: float) -> float:
    """Retry-After, a number or a date."""
    try:
        seconds = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _nobody(_: str) -> None:
    pass
