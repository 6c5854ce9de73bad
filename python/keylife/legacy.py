# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What columns held before they held messages: tokens of Fernet, ciphertexts of Transit, plaintext.

A reader says whether a stored value is its own, by the form of the value alone. The first that says so reads it, and where
that fails nobody else is asked: a value that looks encrypted is never taken for plaintext.
"""

import re
from abc import ABC, abstractmethod
from typing import Any, Callable, Iterable, List, Protocol, Sequence, Tuple, Union

from ._client import Client, check_mount
from ._frame import check_name
from ._lazy import Lazy
from .errors import InvalidMessage, KeylifeError

__all__ = ["Fernet", "Plain", "Reader", "Transit", "UnknownForm", "readers"]

Result = Union[bytes, KeylifeError]


class UnknownForm(InvalidMessage):
    """What is stored is neither a message nor of a form that a reader knows."""

    def __init__(self, where: str, kinds: Iterable[str]) -> None:
        super().__init__(where, tuple(kinds))

    def __str__(self) -> str:
        where, kinds = self.args
        return f"{where}: what is stored is of no form that is read here: {', '.join(('kle1', *kinds))}"


class Reader(ABC):
    """Reads values of one form. Text is given as UTF-8."""

    kind: str  # the name of the form, for counts and errors

    @abstractmethod
    def owns(self, stored: bytes) -> bool:
        """Whether the value has this form. It needs no key."""

    @abstractmethod
    def read(self, stored: bytes) -> bytes:
        """The plaintext; InvalidMessage where the value does not open."""

    def read_many(self, stored: Sequence[bytes]) -> List[Result]:
        """The plaintexts, or what there is instead. A reader that asks Vault asks once."""
        return [_result(self, value) for value in stored]

    def version(self, stored: bytes) -> int:
        """The version of the key that the value is under; 0 where that cannot be told."""
        return 0


def _result(reader: Reader, value: bytes) -> Result:
    try:
        return reader.read(value)
    except KeylifeError as error:
        return error


class Decryptor(Protocol):
    """Fernet and MultiFernet of cryptography, for example."""

    def decrypt(self, token: bytes) -> bytes: ...


_FERNET = re.compile(rb"gAAAA[A-Za-z0-9_-]{90,}={0,2}\Z")


class Fernet(Reader):
    """Tokens of Fernet, by anything that decrypts them. More keys than one are a MultiFernet."""

    kind = "fernet"

    def __init__(self, decryptor: Decryptor) -> None:
        self._decryptor = decryptor

    def owns(self, stored: bytes) -> bool:
        return _FERNET.match(stored) is not None and len(stored) % 4 == 0

    def read(self, stored: bytes) -> bytes:
        try:
            return self._decryptor.decrypt(stored)
        except Exception:  # what it is depends on the decryptor, and may hold the token
            raise InvalidMessage from None


_TRANSIT = re.compile(rb"vault:v([1-9][0-9]{0,9}):[A-Za-z0-9+/=]+\Z")


_TRANSIT = re.compile(rb"vault:v([1-9][0-9]{0,9}):[A-Za-z0-9+/=]+\Z")


class Transit(Reader):
    """Ciphertexts of Transit, which Vault decrypts: Transit(client, "orders"). The client's token needs decrypt on that mount."""

    kind = "transit"

    def __init__(self, client: Union[Client, Callable[[], Client]], key: str, mount: str = "transit") -> None:
        check_name(key)
        self._client = Lazy(client)
        self._key = key
        self._mount = check_mount(mount)

    def owns(self, stored: bytes) -> bool:
        return _TRANSIT.match(stored) is not None

    def version(self, stored: bytes) -> int:
        match = _TRANSIT.match(stored)
        return int(match[1]) if match else 0

    def read(self, stored: bytes) -> bytes:
        (result,) = self.read_many([stored])
        if isinstance(result, KeylifeError):
            raise result
        return result

    def read_many(self, stored: Sequence[bytes]) -> List[Result]:
        ciphertexts = [value.decode("ascii") for value in stored]
        try:
            return self._client()._core.decrypt_by(self._mount, self._key, ciphertexts)
        except KeylifeError as error:
            return [error] * len(stored)


class Plain(Reader):
    """Plaintext, for a column that was never encrypted. Whoever can write the column can then write what is read as genuine:
    take it out of the list once everything is encrypted."""

    kind = "plain"

    def owns(self, stored: bytes) -> bool:
        return not stored.startswith(_ENCRYPTED)

    def read(self, stored: bytes) -> bytes:
        return stored


MESSAGE = (b"kle1.", b"KLE1")
_ENCRYPTED = (*MESSAGE, b"vault:v", b"gAAAA")


def readers(legacy: Iterable[Any]) -> Tuple[Reader, ...]:
    """Readers in their order. What has only a decrypt method is taken for one of Fernet."""
    if isinstance(legacy, (str, bytes)) or not isinstance(legacy, Iterable):
        raise TypeError("legacy: want a list of readers")
    found = tuple(_reader(index, each) for index, each in enumerate(legacy))
    if any(isinstance(each, Plain) for each in found[:-1]):
        raise ValueError("legacy: Plain() must be the last reader")
    return found


def _reader(index: int, each: Any) -> Reader:
    if isinstance(each, Reader):
        return each
    if isinstance(each, type) or not callable(getattr(each, "decrypt", None)) or hasattr(each, "decrypt_many"):
        raise TypeError(f"legacy[{index}]: want a reader of keylife.legacy, or a Fernet or MultiFernet, got {type(each).__name__}")
    return Fernet(each)
