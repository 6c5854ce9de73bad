# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

import sys
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from ...._rewrap_command import EXIT_CODES, add_arguments, execute
from ..._source import FieldSource
from ...fields import _EncryptedField


class Command(BaseCommand):
    help = f"Brings an encrypted field under the newest version of its key. {EXIT_CODES}"

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("field", metavar="app.Model.field")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="an alias of DATABASES")
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        field = _field(options["field"])
        code = execute(FieldSource(field, options["database"]), field.cipher, options, self.stdout, (DatabaseError,))
        if code:
            sys.exit(code)


def _field(label: str) -> _EncryptedField:
    try:
        app, model, name = label.split(".")
        field = apps.get_model(app, model)._meta.get_field(name)
    except (ValueError, LookupError, FieldDoesNotExist) as error:
        raise CommandError(f"{label}: want app.Model.field: {error}") from error
    if not isinstance(field, _EncryptedField):
        raise CommandError(f"{label}: not an encrypted field")
    return field
