# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The fields. What is not theirs (forms, the admin, validation) is that of Django's fields for the same values."""

import json
from functools import cached_property
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from django.core import checks
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.fields import NOT_PROVIDED
from django.db.models.lookups import Exact
from django.utils.module_loading import import_string

from .._column import ColumnCipher, from_json, from_utf8, normal, to_utf8
from .._frame import check_name
from .._key import Key
from ..legacy import Reader, readers
from ._client import key


class StoredValue(models.Value):
    """What is stored as it is: for those who move ciphertexts, not plaintexts."""


class _OnlyNull(Exact):
    """filter(number=None) is IS NULL; nothing else can be compared."""

    def __init__(self, lhs: Any, rhs: Any) -> None:
        if rhs is not None:
            raise _no_lookup(lhs.output_field, "exact")
        super().__init__(lhs, rhs)


def _no_lookup(field: Any, name: str) -> FieldError:
    return FieldError(f"{field}: the lookup {name} is not possible on an encrypted field; only isnull is")


class _EncryptedField(models.Field):
    """Its values are encrypted where they meet the database, and nowhere else."""

    # What changes nothing in the database. Django before 4.1 does not look.
    non_db_attrs = (*getattr(models.Field, "non_db_attrs", ()), "key", "legacy", "context")
    _binary = False

    def __init__(
        self,
        *args: Any,
        key: str = "",
        legacy: Union[str, Iterable[Any]] = (),
        context: Optional[Mapping[str, str]] = None,
        **options: Any,
    ) -> None:
        self.key = key
        self.legacy = legacy  # a dotted path to readers or to what gives them, or the readers
        self.context = None if context is None else dict(context)
        super().__init__(*args, **options)

    def deconstruct(self) -> Tuple[str, str, List[Any], Dict[str, Any]]:
        """Readers may hold keys, so they do not get into migrations. A dotted path does."""
        name, path, args, options = super().deconstruct()
        options["key"] = self.key
        if self.legacy and isinstance(self.legacy, str):
            options["legacy"] = self.legacy
        if self.context is not None:
            options["context"] = self.context
        return name, path.replace("keylife.django.fields", "keylife.django"), args, options

    @cached_property
    def cipher(self) -> ColumnCipher:
        """Encrypts and decrypts the values of the column."""
        table = self.model._meta.db_table
        context = {"table": table, "column": self.column} if self.context is None else self.context
        return ColumnCipher(f"{table}.{self.column}", self._key, context, self._readers())

    def _key(self) -> Key:
        return key(self.key)

    def _readers(self) -> Tuple[Reader, ...]:
        legacy: Any = import_string(self.legacy) if isinstance(self.legacy, str) else self.legacy
        return readers(legacy() if callable(legacy) else legacy)

    def prefetch(self, stored: Iterable[Any]) -> None:
        """Asks for the data keys of values as they are stored, in one request. QuerySet.values_list gives them by raw()."""
        self.cipher.prefetch(stored)

    def raw(self) -> models.expressions.ExpressionWrapper:
        """The value as it is stored, for annotate()."""
        output = models.BinaryField() if self._binary else models.TextField()
        return models.ExpressionWrapper(models.F(self.name), output_field=output)

    # From and to the database.

    def get_internal_type(self) -> str:
        return "BinaryField" if self._binary else "TextField"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        stored = self.cipher.write(self._to_plain(value), text=not self._binary)
        return connection.Database.Binary(stored) if self._binary else stored

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else self._from_plain(self.cipher.read(normal(value)))

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if hasattr(value, "resolve_expression"):
            raise FieldError(f"{self}: an encrypted field takes values, the database computes none")
        return value

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        """Expressions of an update pass here. What the database computes would be stored unencrypted."""
        if hasattr(value, "as_sql") and not isinstance(value, StoredValue) and getattr(value, "output_field", None) != self:
            raise FieldError(f"{self}: an encrypted field takes values, the database computes none")
        return str(connection.ops.binary_placeholder_sql(value)) if self._binary else "%s"

    def _to_plain(self, value: Any) -> bytes:
        raise NotImplementedError

    def _from_plain(self, plaintext: bytes) -> Any:
        raise NotImplementedError

    # Lookups.

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name == "isnull":
            return super().get_lookup(lookup_name)
        if lookup_name == "exact":
            return _OnlyNull
        raise _no_lookup(self, lookup_name)

    def get_transform(self, lookup_name: str) -> Any:
        raise _no_lookup(self, lookup_name)

    # System checks.

    def check(self, **options: Any) -> List[Any]:
        return [*super().check(**options), *self._check_options(), *self._check_key(), *self._check_legacy()]

    def _check_options(self) -> List[Any]:
        meta = self.model._meta
        wrong = [name for name in ("primary_key", "unique", "db_index") if getattr(self, name)]
        wrong += [name for name in ("unique_for_date", "unique_for_month", "unique_for_year") if getattr(self, name)]
        wrong += ["db_default"] if getattr(self, "db_default", NOT_PROVIDED) is not NOT_PROVIDED else []
        together = [*meta.unique_together, *meta.index_together] if hasattr(meta, "index_together") else [*meta.unique_together]
        together += [each.fields for each in (*meta.indexes, *meta.constraints) if getattr(each, "fields", None)]
        wrong += ["part of an index or constraint"] if any(self.name in {name.lstrip("-") for name in each} for each in together) else []
        hint = "The database cannot compare what it holds."
        return [checks.Error(f"An encrypted field cannot be {name}.", hint=hint, obj=self, id="keylife.E001") for name in wrong]

    def _check_key(self) -> List[Any]:
        try:
            check_name(self.key)
            return []
        except ValueError as error:
            return [checks.Error(str(error), hint='key="orders"', obj=self, id="keylife.E002")]

    def _check_legacy(self) -> List[Any]:
        try:
            self._readers()
            return []
        except (ImportError, TypeError, ValueError) as error:
            return [checks.Error(str(error), obj=self, id="keylife.E003")]


class EncryptedTextField(_EncryptedField, models.TextField):
    """A text of any length."""

    def _to_plain(self, value: Any) -> bytes:
        return to_utf8(self.cipher.where, self.get_prep_value(value))

    def _from_plain(self, plaintext: bytes) -> str:
        return from_utf8(self.cipher.where, plaintext)


class EncryptedBinaryField(_EncryptedField, models.BinaryField):
    """Bytes of any length."""

    _binary = True

    def _to_plain(self, value: Any) -> bytes:
        if isinstance(value, str):
            raise TypeError(f"{self.cipher.where}: str, want bytes")
        return bytes(memoryview(value))

    def _from_plain(self, plaintext: bytes) -> bytes:
        return plaintext


class EncryptedJSONField(_EncryptedField, models.JSONField):
    """What JSON can say. None is stored as NULL."""

    def _to_plain(self, value: Any) -> bytes:
        return to_utf8(self.cipher.where, json.dumps(value, cls=self.encoder))

    def _from_plain(self, plaintext: bytes) -> Any:
        return from_json(self.cipher.where, plaintext, cls=self.decoder)
