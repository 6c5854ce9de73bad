# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What a client tells about its work, and where to: keylife.metrics.prometheus, keylife.metrics.otel, or a class of your own.

Nothing that is told is secret: names of keys, and words of the lists below.

| Name | Kind | Labels |
|---|---|---|
| keylife_client_operations_total | counter | key, op (encrypt, decrypt, rewrap), source, outcome |
| keylife_client_request_seconds | histogram | op (datakey, decrypt, rewrap), outcome |
| keylife_client_version | gauge | key |
| keylife_client_data_keys | gauge | key |
| keylife_client_proof_age_seconds | gauge | key |

source: local (a data key whose proof is fresh), engine (a request to Vault), stale (a proof that has ended, while Vault does
not answer). outcome: ok, unavailable, access_denied, key_state, invalid_message, invalid_input.
"""

import weakref
from typing import Callable, Dict, List, Protocol, Sequence, Tuple

from .._metrics import KeyStats, Metrics

__all__ = ["KeyStats", "Metrics"]


class _Client(Protocol):
    def stats(self) -> Sequence[KeyStats]:
        """How the keys in use stand."""


# What the stats of a key are as gauges: name, what it is, value.
_GAUGES: List[Tuple[str, str, Callable[[KeyStats], float]]] = [
    ("keylife_client_version", "Version that encrypts", lambda stats: stats.version),
    ("keylife_client_data_keys", "Data keys in memory", lambda stats: stats.data_keys),
    ("keylife_client_proof_age_seconds", "Age of the oldest proof that still opens messages", lambda stats: stats.proof_age),
]


class _Watched:
    """Clients whose keys are shown. It does not keep them alive. Where two have a key, the one that is watched last is shown."""

    def __init__(self) -> None:
        self._clients: "List[weakref.ref[_Client]]" = []

    def add(self, client: _Client) -> None:
        self._clients = [known for known in self._clients if known() is not None] + [weakref.ref(client)]

    def stats(self) -> List[KeyStats]:
        found: Dict[str, KeyStats] = {}
        for reference in self._clients:
            client = reference()
            if client is not None:
                found.update((stats.key, stats) for stats in client.stats())
        return list(found.values())
