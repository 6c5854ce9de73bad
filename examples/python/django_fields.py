#!/usr/bin/env python3
# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Encrypted fields of Django, and the command that brings them under the newest version of the key.

VAULT_ADDR and VAULT_TOKEN say where Vault is, KEYLIFE_MOUNT where keys are (keylife). The key orders must exist there:
vault write -f keylife/keys/orders
"""

import os

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models

from keylife import Client, inspect

if not settings.configured:  # a project has these in its settings.py
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["keylife.django"],
        KEYLIFE={"mount": os.environ.get("KEYLIFE_MOUNT", "keylife"), "consumer": "example"},
    )
    django.setup()

from django.core.exceptions import FieldError  # noqa: E402

from keylife.django import EncryptedJSONField, EncryptedTextField  # noqa: E402


class Order(models.Model):
    id = models.BigAutoField(primary_key=True)
    number = EncryptedTextField(key="orders")
    address = EncryptedJSONField(key="orders", null=True)

    class Meta:
        app_label = "keylife"
        db_table = "example_orders"


def main(client: Client) -> None:
    settings.KEYLIFE = client
    with connection.schema_editor() as schema:
        schema.create_model(Order)
    Order.objects.create(number="4111 1111 1111 1111", address={"city": "Graz"})
    order = Order.objects.get(number__isnull=False)
    print("read:", order.number, order.address)
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM example_orders")
        (stored,) = cursor.fetchone()
    print("stored:", stored[:40] + "...")
    print("is:", inspect(stored))
    try:
        Order.objects.filter(number="4111 1111 1111 1111")
    except FieldError as error:
        print("refused:", error)
    call_command("keylife_rewrap", "keylife.Order.number")


if __name__ == "__main__":
    with Client(mount=os.environ.get("KEYLIFE_MOUNT", "keylife"), consumer="example") as client:
        main(client)
