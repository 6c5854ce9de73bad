# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""A type for columns of SQLAlchemy, 1.4 and 2: Column(Encrypted("orders")).

The context of a value is its table and column, so it opens in no other. Where either is renamed, the old names are given as
context. Values cannot be compared, ordered or found by the database; only IS NULL can be asked.
"""

import json
from typing import Any, Callable, Iterable, Mapping, Optional, Tuple, Type, Union

from sqlalchemy import JSON, LargeBinary, String, Text, event
from sqlalchemy.exc import ArgumentError, DontWrapMixin, InvalidRequestError
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Null
from sqlalchemy.types import TypeDecorator

from ._client import Client
from ._column import ColumnCipher, from_json, from_utf8, normal, to_utf8
from ._key import Key
from ._lazy import Lazy
from .legacy import readers

__all__ = ["Encrypted", "configure"]

_default: Optional[Lazy] = None


def configure(client: Union[Client, Callable[[], Client]]) -> None:
    """Sets the client of all types that have none of their own: one, or what gives one at the first use."""
    global _default
    _default = Lazy(client)


class _Comparator(TypeDecorator.Comparator):
    """Two ciphertexts of one plaintext differ, so only NULL can be asked for."""

    def operate(self, op: Any, *other: Any, **more: Any) -> Any:
        null = len(other) == 1 and (other[0] is None or isinstance(other[0], Null))
        if null and op in (operators.eq, operators.ne, operators.is_, operators.is_not):
            return super().operate(op, *other, **more)
        raise InvalidRequestError(
            f"{self.type.where}: the database cannot compare or order an encrypted column ({op.__name__}); only IS NULL can be asked"
        )

    reverse_operate = operate


class Encrypted(TypeDecorator):
    """Values of Text (str), LargeBinary (bytes) or JSON, encrypted under a key. None is stored as NULL.

    Changes inside a JSON value are not noticed: assign a new one. A column needs a type of its own.
    """

    impl = Text
    cache_ok = True
    comparator_factory = _Comparator

    def __init__(
        self,
        key: str,
        type_: Any = Text,
        legacy: Iterable[Any] = (),
        client: Union[Client, Callable[[], Client], None] = None,
        context: Optional[Mapping[str, str]] = None,
    ) -> None:
        kind = type_() if isinstance(type_, type) else type_
        if not isinstance(kind, (String, LargeBinary, JSON)):
            raise ArgumentError(f"Encrypted: type_ is {kind!r}, want Text, LargeBinary or JSON")
        super().__init__()
        self.impl = LargeBinary() if isinstance(kind, LargeBinary) else Text()
        # The attributes that are named as parameters, none of them keyword-only, are the type's identity in the cache of statements.
        self.key = key
        self.type_ = kind
        self.legacy = readers(legacy)
        self.client = None if client is None else Lazy(client)
        self.context: Optional[Tuple[Tuple[str, str], ...]] = None if context is None else tuple(sorted(context.items()))
        self.where = f"Encrypted({key!r})"
        self._explicit = context is not None
        self._owner: Optional[str] = None  # the column, where it is this instance's
        self._cipher: Optional[ColumnCipher] = None

    def __repr__(self) -> str:
        return f"Encrypted({self.key!r}, {self.type_!r})"

    def copy(self, **more: Any) -> "Encrypted":
        copied: Encrypted = super().copy(**more)
        copied._owner = None
        return copied

    def _set_parent(self, parent: Any, outer: bool = False, **more: Any) -> None:
        super()._set_parent(parent, outer=outer, **more)
        event.listen(parent, "after_parent_attach", self._attach)

    def _attach(self, column: Any, table: Any) -> None:
        where = f"{table.name}.{column.name}"
        if column.primary_key or column.unique or column.index:
            raise ArgumentError(f"{where}: an encrypted column cannot be a primary key, unique or indexed")
        if self._owner not in (None, where):
            raise ArgumentError(f"{where}: its type is that of {self._owner} too; each column needs an Encrypted of its own")
        self._owner = self.where = where
        self._cipher = None
        if not self._explicit:
            self.context = (("column", str(column.name)), ("table", str(table.name)))

    @property
    def cipher(self) -> ColumnCipher:
        """Encrypts and decrypts the values of the column."""
        if self._cipher is None:
            if self.context is None:
                raise InvalidRequestError(f"{self.where}: it belongs to no column of a table; give it a context")
            self._cipher = ColumnCipher(self.where, self._key, dict(self.context), self.legacy)
        return self._cipher

    def _key(self) -> Key:
        client = self.client or _default
        if client is None:
            raise InvalidRequestError("no client: call keylife.sqlalchemy.configure(client), or give one to Encrypted")
        return client.key(self.key)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        if value is None:
            return None
        try:
            return self.cipher.write(self._to_plain(value), not self._binary)
        except Exception as error:  # SQLAlchemy would put it into one that shows the parameters
            raise _own(type(error))(*error.args).with_traceback(error.__traceback__) from None

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else self._from_plain(self.cipher.read(normal(value)))

    @property
    def _binary(self) -> bool:
        return isinstance(self.type_, LargeBinary)

    def _to_plain(self, value: Any) -> bytes:
        if isinstance(self.type_, JSON):
            return to_utf8(self.where, json.dumps(value))
        want = bytes if self._binary else str
        if not isinstance(value, want):
            raise TypeError(f"{self.where}: {type(value).__name__}, want {want.__name__}")
        return to_utf8(self.where, value) if isinstance(value, str) else bytes(value)

    def _from_plain(self, plaintext: bytes) -> Any:
        if self._binary:
            return plaintext
        return from_json(self.where, plaintext) if isinstance(self.type_, JSON) else from_utf8(self.where, plaintext)

    @property
    def python_type(self) -> Any:
        return object if isinstance(self.type_, JSON) else bytes if self._binary else str


def _own(kind: Type[Exception]) -> Type[Exception]:
    """The same kind of error, for SQLAlchemy to leave as it is."""
    return type(kind.__name__, (kind, DontWrapMixin), {"__module__": kind.__module__})
