# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The client of what is declared before there is one: columns, fields, readers."""

import threading
from typing import Callable, Dict, Optional, Union

from ._client import Client
from ._key import Key


class Lazy:
    """A client, or what gives one at the first use. Keys are kept, since a value costs less than finding its key."""

    def __init__(self, client: Union[Client, Callable[[], Client]]) -> None:
        self._give = client
        self._client: Optional[Client] = client if isinstance(client, Client) else None
        self._keys: Dict[str, Key] = {}
        self._lock = threading.Lock()

    def __call__(self) -> Client:
        return self._client or self._first()

    def key(self, name: str) -> Key:
        key = self._keys.get(name)
        if key is None:
            key = self._keys.setdefault(name, self().key(name))
        return key

    def _first(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = self._give if isinstance(self._give, Client) else self._give()
            return self._client
