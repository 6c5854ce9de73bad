# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Why a use of a key did not succeed. What is wrong with the caller's own input is a ValueError or a TypeError instead."""

from typing import Any, Dict, List, Tuple


class KeylifeError(Exception):
    """All that this package raises by itself."""


class Unavailable(KeylifeError):
    """Vault did not answer, and no data key may be used without it. Trying again can help."""


class AccessDenied(KeylifeError):
    """Vault refused the token, also a new one."""


class KeyStateError(KeylifeError):
    """The engine refuses the use of a key or a version for what that is."""

    def __init__(self, key: str, version: int, state: str, reason: str) -> None:
        super().__init__(key, version, state, reason)
        self.key = key
        self.version = version  # 0: the key as a whole
        self.state = state  # suspended, archived, ...; empty where the engine names none
        self.reason = reason  # the engine's words

    def __str__(self) -> str:
        version = f", version {self.version}" if self.version else ""
        return f'key "{self.key}"{version}: {self.reason}'


class InvalidMessage(KeylifeError):
    """The message was altered, cut, sealed with another context, or is no message at all."""

    def __str__(self) -> str:
        return "invalid message"


class ClientClosed(KeylifeError):
    """The client was closed."""

    def __str__(self) -> str:
        return "client is closed"


class BatchError(KeylifeError):
    """Some of many messages failed. The results have None where they did."""

    def __init__(self, results: List[Any], errors: Dict[int, Exception]) -> None:
        index = min(errors)
        super().__init__(f"{len(errors)} of {len(results)} messages; message {index}: {errors[index]}")
        self.results = results
        self.errors = errors

    def __reduce__(self) -> Tuple[Any, ...]:
        return KeylifeError, self.args  # plaintexts do not travel with an error
