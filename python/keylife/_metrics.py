# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What a client tells of itself."""

from typing import Callable, NamedTuple, Protocol

from .errors import AccessDenied, InvalidMessage, KeyStateError, Unavailable

# Sources: by what a use was answered.
LOCAL = "local"  # a data key whose proof is fresh
ENGINE = "engine"  # a request to Vault
STALE = "stale"  # a data key whose proof has ended, while Vault does not answer


class Metrics(Protocol):
    """Is told what a client does. It is called on the hot path, by many threads at once, and must not raise."""

    def operation(self, key: str, op: str, source: str, outcome: str) -> None:
        """One use of a key. Op is encrypt, decrypt or rewrap; source is local, engine or stale; outcome as of outcome_of."""

    def request(self, key: str, op: str) -> Callable[[str], None]:
        """A request to Vault begins; what it returns is called with the outcome when that ended."""


class KeyStats(NamedTuple):
    """How a key stands."""

    key: str
    version: int  # that encrypt uses; 0: none yet
    data_keys: int  # in memory
    proof_age: float  # seconds, of the oldest proof that still opens messages


_OUTCOMES = (
    (Unavailable, "unavailable"),
    (AccessDenied, "access_denied"),
    (KeyStateError, "key_state"),
    (InvalidMessage, "invalid_message"),
)


def outcome_of(error: BaseException) -> str:
    for kind, outcome in _OUTCOMES:
        if isinstance(error, kind):
            return outcome
    return "invalid_input"
