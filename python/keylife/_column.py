# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The values of one column: messages under one key, and whatever stood there before. keylife.django and keylife.sqlalchemy
are fields over it."""

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from ._envelope import Context
from ._frame import from_text, parse
from ._key import Key
from .errors import BatchError, InvalidMessage, KeylifeError
from .legacy import MESSAGE, Reader, Result, UnknownForm

Stored = Union[str, bytes]
T = TypeVar("T")


class Form(NamedTuple):
    """What a stored value is, as far as that is seen without a key."""

    kind: str  # kle1, that of a reader, or unreadable
    key: str = ""
    version: int = 0
    edk: str = ""


@dataclass(frozen=True)
class ColumnCipher:
    """Encrypts and decrypts what a column stores. It knows neither rows nor types."""

    where: str  # table and column, for errors
    key: Callable[[], Key]
    context: Context
    legacy: Tuple[Reader, ...] = ()

    def write(self, plaintext: bytes, text: bool) -> Stored:
        key = self.key()
        return key.encrypt_text(plaintext, self.context) if text else key.encrypt(plaintext, self.context)

    def read(self, stored: Stored) -> bytes:
        reader = self._reader(stored)
        return self.key().decrypt(stored, self.context) if reader is None else reader.read(_bytes(stored))

    def read_many(self, stored: Sequence[Stored]) -> List[Result]:
        """The plaintexts, or what there is instead: one request for the unknown data keys, and one for each reader that asks."""
        results: List[Result] = [InvalidMessage()] * len(stored)
        owned: Dict[Optional[Reader], List[int]] = {}
        for index, value in enumerate(stored):
            try:
                owned.setdefault(self._reader(value), []).append(index)
            except UnknownForm as error:
                results[index] = error
        for reader, indices in owned.items():
            for index, result in zip(indices, self._read_by(reader, [stored[i] for i in indices])):
                results[index] = result
        return results

    def _read_by(self, reader: Optional[Reader], stored: List[Stored]) -> List[Result]:
        if reader is not None:
            return reader.read_many([_bytes(value) for value in stored])
        return each_of(lambda: self.key().decrypt_many(stored, self.context))

    def prefetch(self, stored: Iterable[Any]) -> None:
        """Asks for all data keys of these values that are not in memory, in one request. What does not open is left to who reads it."""
        first: Dict[str, Stored] = {}
        for value in stored:
            form = self.form(value) if value is not None else Form("null")
            if form.edk:
                first.setdefault(form.edk, normal(value))
        if first:
            each_of(lambda: self.key().decrypt_many(list(first.values()), self.context))

    def form(self, stored: Any) -> Form:
        """What a value is; it needs no key and asks nobody."""
        value = normal(stored)
        try:
            reader = self._reader(value)
            if reader is not None:
                return Form(reader.kind, version=reader.version(_bytes(value)))
            header = parse(message_of(value)).header
            return Form("kle1", header.name, header.version, header.edk)
        except InvalidMessage:
            return Form("unreadable")

    def _reader(self, stored: Stored) -> Optional[Reader]:
        """Whose the value is; None for a message."""
        start = _bytes(stored[:5])
        if start.startswith(MESSAGE):
            return None
        raw = _bytes(stored)
        for reader in self.legacy:
            if reader.owns(raw):
                return reader
        raise UnknownForm(self.where, (reader.kind for reader in self.legacy))


def each_of(batch: Callable[[], Sequence[T]]) -> List[Union[T, KeylifeError]]:
    """The results of a batch, each or what there is instead."""
    try:
        return [*batch()]
    except BatchError as failed:
        results: List[Union[T, KeylifeError]] = list(failed.results)
        for index, error in failed.errors.items():
            if not isinstance(error, KeylifeError):
                raise error from None
            results[index] = error
        return results


def normal(stored: Any) -> Stored:
    """What drivers give for bytes are bytes."""
    return stored if isinstance(stored, str) else bytes(stored)


def message_of(stored: Stored) -> bytes:
    """The message in its binary form."""
    return from_text(stored) if isinstance(stored, str) else stored


def _bytes(stored: Stored) -> bytes:
    return stored.encode("utf-8", "surrogatepass") if isinstance(stored, str) else stored


def to_utf8(where: str, value: str) -> bytes:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:  # it would hold the text
        raise ValueError(f"{where}: the text is not UTF-8") from None


def from_utf8(where: str, plaintext: bytes) -> str:
    try:
        return plaintext.decode("utf-8")
    except UnicodeDecodeError:
        raise KeylifeError(f"{where}: the plaintext is not UTF-8") from None


def from_json(where: str, plaintext: bytes, **options: Any) -> Any:
    try:
        return json.loads(from_utf8(where, plaintext), **options)
    except json.JSONDecodeError:  # it would hold the plaintext
        raise KeylifeError(f"{where}: the plaintext is not JSON") from None
