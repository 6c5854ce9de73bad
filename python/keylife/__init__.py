# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""For applications that encrypt locally with data keys of keylife or Transit.

    client = keylife.Client("https://vault:8200", auth=keylife.AppRole(role_id, secret_id_file="/run/secret-id"))
    orders = client.key("orders")
    message = orders.encrypt(b"4111...", {"table": "cards", "row": "17"})
    orders.decrypt(message, {"table": "cards", "row": "17"})

A use asks Vault only when there is no data key whose proof is fresh. The format of messages is specified in docs/envelope.md.
"""

from typing import NamedTuple, Union

from ._client import Client
from ._envelope import Context
from ._frame import STREAM, from_text, parse
from ._key import Key
from ._metrics import KeyStats, Metrics
from .auth import AppRole, Auth, Cert, Kubernetes, Login, TokenFile
from .bounds import Bounds, Offline
from .errors import AccessDenied, BatchError, ClientClosed, InvalidMessage, KeylifeError, KeyStateError, Unavailable

__all__ = [
    "AccessDenied",
    "AppRole",
    "Auth",
    "BatchError",
    "Bounds",
    "Cert",
    "Client",
    "ClientClosed",
    "Context",
    "Info",
    "InvalidMessage",
    "Key",
    "KeyStateError",
    "KeyStats",
    "KeylifeError",
    "Kubernetes",
    "Login",
    "Metrics",
    "Offline",
    "TokenFile",
    "Unavailable",
    "inspect",
]


class Info(NamedTuple):
    """What a message tells without a key. Nothing of it is authenticated."""

    stream: bool
    key: str
    version: int


def inspect(message: Union[bytes, str]) -> Info:
    """Reads the header of a message, in its binary or its text form. It needs no key and asks nobody."""
    header = parse(from_text(message) if isinstance(message, str) else message).header
    return Info(header.suite == STREAM, header.name, header.version)
