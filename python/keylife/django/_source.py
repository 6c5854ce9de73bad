# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The rows of a field for _rewrap, by Django's ORM."""

from typing import Any, List, Optional, Sequence, Tuple

from django.db import transaction

from .._column import Stored, normal
from .._rewrap import Row
from .fields import StoredValue


class FieldSource:
    def __init__(self, field: Any, database: str) -> None:
        self._field = field
        self._database = database
        rows = field.model._base_manager.using(database)
        self._rows = rows.filter(**{f"{field.name}__isnull": False}).annotate(keylife_stored=field.raw())

    def count(self) -> int:
        return int(self._rows.count())

    def page(self, after: Optional[Any], size: int) -> List[Row]:
        rows = self._rows.order_by("pk") if after is None else self._rows.order_by("pk").filter(pk__gt=after)
        return [Row(id, normal(stored)) for id, stored in rows.values_list("pk", "keylife_stored")[:size]]

    def swap(self, changes: Sequence[Tuple[Row, Stored]]) -> List[bool]:
        with transaction.atomic(using=self._database):
            return [self._swap(row, new) for row, new in changes]

    def _swap(self, row: Row, new: Stored) -> bool:
        raw = self._field.raw().output_field
        one = self._rows.filter(pk=row.id, keylife_stored=row.stored)
        return bool(one.update(**{self._field.name: StoredValue(new, output_field=raw)}))
