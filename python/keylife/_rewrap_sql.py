# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The rows of a table for _rewrap, by SQLAlchemy. Values come and go as the driver has them."""

from typing import Any, List, Optional, Sequence, Tuple

from sqlalchemy import column, func, select, table, update
from sqlalchemy.engine import Engine

from ._column import Stored, normal
from ._rewrap import Row


class SqlSource:
    def __init__(self, engine: Engine, table_name: str, column_name: str, id_name: str) -> None:
        schema, _, name = table_name.rpartition(".")
        self._engine = engine
        self._id, self._column = column(id_name), column(column_name)
        self._table = table(name, self._id, self._column, schema=schema or None)

    def count(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(self._table).where(self._column.is_not(None))).scalar_one())

    def page(self, after: Optional[Any], size: int) -> List[Row]:
        rows = select(self._id, self._column).where(self._column.is_not(None)).order_by(self._id).limit(size)
        if after is not None:
            rows = rows.where(self._id > after)
        with self._engine.connect() as connection:
            return [Row(id, normal(stored)) for id, stored in connection.execute(rows)]

    def swap(self, changes: Sequence[Tuple[Row, Stored]]) -> List[bool]:
        with self._engine.begin() as connection:
            return [self._swap(connection, row, new) for row, new in changes]

    def _swap(self, connection: Any, row: Row, new: Stored) -> bool:
        one = update(self._table).where(self._id == row.id, self._column == row.stored).values({self._column.name: new})
        return bool(connection.execute(one).rowcount)
