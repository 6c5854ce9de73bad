# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Data keys in a file, encrypted, for the start of an application while Vault cannot be reached.

The same file in Go is client/internal/sealed, which draws its form. The module decides whether a file is believed: it is
of this engine, sealed with this key, not of the future and not too old. What its data keys may still do is decided where
they are used. Python cannot wipe what json and base64 made of the keys, so copies of them stay in memory until it is
used again.
"""

import base64
import binascii
import json
import os
import stat
from typing import Any, Callable, Iterable, List, NamedTuple, Union

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ._atomic import Replacement

_MAGIC = b"KLC1"
_NONCE = 12
_KEY = 32
_MAX = 64 << 20  # bytes; 10,000 data keys with the longest names and EDKs are 60 MiB


class Refused(Exception):
    """There was a file that is not believed. It was deleted."""


class Binding(NamedTuple):
    """Of which engine the data keys are. A file of another one does not open."""

    address: str
    namespace: str
    mount: str


class KeptKey(NamedTuple):
    """One data key in the file. Times are Unix seconds."""

    name: str
    edk: str
    key: bytes
    protect: int  # when the engine last let it encrypt; 0: it is not to encrypt
    process: int  # when the engine last let it decrypt
    messages: int
    bytes: int
    made: int

    def __repr__(self) -> str:
        return "data key [redacted]"


class SealedFile:
    """The file at a path. It is believed for keep seconds after it was written."""

    def __init__(self, path: Union[str, "os.PathLike[str]"], sealer: Callable[[], bytes], binding: Binding, keep: float) -> None:
        self._path = os.fspath(path)
        self._sealer = sealer
        self._aad = _MAGIC + "\n".join(binding).encode()
        self._keep = keep

    def save(self, now: float, keys: Iterable[KeptKey]) -> None:
        """Replaces the file. After an error or a crash it is the one before or the new one."""
        aead = self._aead()
        kept = [{**key._asdict(), "key": base64.b64encode(key.key).decode()} for key in keys]
        content = json.dumps({"written": int(now), "keys": kept}, separators=(",", ":")).encode()
        nonce = os.urandom(_NONCE)
        replacement = Replacement(self._path, 0o600)
        try:
            replacement.write(_MAGIC + nonce + aead.encrypt(nonce, content, self._aad))
        except BaseException:
            replacement.discard()
            raise
        replacement.commit()

    def load(self, now: float) -> List[KeptKey]:
        """Reads the file. FileNotFoundError: there is none. Any other OSError: it could not be read, and is still there."""
        aead = self._aead()
        file = self._read()
        try:
            if not file.startswith(_MAGIC):
                raise InvalidTag
            start = len(_MAGIC) + _NONCE
            content = aead.decrypt(file[len(_MAGIC) : start], file[start:], self._aad)
        except (InvalidTag, ValueError):
            raise self._refused("it was altered, or sealed with another key or for another engine") from None
        try:
            stored = json.loads(content)
            written, keys = int(stored["written"]), [_kept(key) for key in stored["keys"]]
        except (ValueError, TypeError, KeyError):
            raise self._refused("its content cannot be read") from None
        if int(now) < written:
            raise self._refused("it was written at a time that is not yet")
        if now > written + self._keep:
            raise self._refused(f"it was written longer than {self._keep:g} seconds ago")
        return keys

    def remove(self) -> None:
        """Deletes the file, if there is one."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass

    def _refused(self, why: str) -> Refused:
        self.remove()
        return Refused(f"{self._path}: sealed file refused: {why}")

    def _aead(self) -> AESGCM:
        key = self._sealer()
        if not isinstance(key, (bytes, bytearray)):
            raise ValueError(f"offline.sealer: want {_KEY} bytes, got {type(key).__name__}")
        if len(key) != _KEY:
            raise ValueError(f"offline.sealer: want {_KEY} bytes, got {len(key)}")
        return AESGCM(bytes(key))

    def _read(self) -> bytes:
        there = os.lstat(self._path)
        if not stat.S_ISREG(there.st_mode):
            raise OSError(f"{self._path}: sealed file: not a regular file")
        if stat.S_IMODE(there.st_mode) & 0o077 and os.name == "posix":
            raise self._refused(f"its mode is {stat.S_IMODE(there.st_mode):#o}, want 0o600")
        if there.st_size > _MAX:
            raise self._refused(f"it has {there.st_size} bytes, the most is {_MAX}")
        with open(self._path, "rb") as file:
            return file.read()


def _kept(stored: Any) -> KeptKey:
    key = base64.b64decode(stored["key"], validate=True)
    if len(key) != _KEY:
        raise binascii.Error
    numbers = (int(stored[field]) for field in KeptKey._fields[3:])
    return KeptKey(str(stored["name"]), str(stored["edk"]), key, *numbers)
