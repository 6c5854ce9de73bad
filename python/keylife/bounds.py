# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""How far a client goes without Vault."""

import os
from dataclasses import dataclass
from typing import Callable, Union

_DAY = 86400.0


def _range(field: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # also where it is no number
        raise ValueError(f"{field}: {value}, want {least:g} to {most:g}")


@dataclass(frozen=True)
class Bounds:
    """How long a client trusts what the engine said, in seconds, and how much it does with one data key."""

    ttl: float = 300.0  # of a proof, while Vault answers
    stale_protect: float = 900.0  # of a proof, to encrypt while Vault does not answer; not below ttl
    max_stale: float = 3600.0  # of a proof, to decrypt while Vault does not answer; not below stale_protect
    data_key_age: float = 3600.0  # after which a data key does not encrypt any more, while Vault answers; at most 24 hours
    max_messages: int = 1 << 20  # that one data key encrypts; at most 2^20
    max_bytes: int = 64 << 30  # that one data key encrypts; at most 64 GiB

    def __post_init__(self) -> None:
        _range("bounds.ttl", self.ttl, 1, _DAY)
        _range("bounds.stale_protect", self.stale_protect, self.ttl, 30 * _DAY)
        _range("bounds.max_stale", self.max_stale, self.stale_protect, 30 * _DAY)
        _range("bounds.data_key_age", self.data_key_age, 1, _DAY)
        _range("bounds.max_messages", self.max_messages, 1, 1 << 20)
        _range("bounds.max_bytes", self.max_bytes, 1, 64 << 30)


@dataclass(frozen=True)
class Offline:
    """Lets a client start while Vault cannot be reached, from data keys in a sealed file."""

    path: Union[str, "os.PathLike[str]"]
    for_: float  # seconds after a proof, to decrypt after such a start; at most 7 days
    sealer: Callable[[], bytes]  # gives the 32 bytes that seal the file; they must not lie beside it

    def __post_init__(self) -> None:
        if not os.fspath(self.path):
            raise ValueError("offline.path: empty")
        _range("offline.for_", self.for_, 1, 7 * _DAY)
        if not callable(self.sealer):
            raise TypeError("offline.sealer: want a callable that gives 32 bytes")
