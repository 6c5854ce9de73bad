# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""An application of Django, for the tests."""

from cryptography.fernet import Fernet
from django.db import models

from keylife.django import EncryptedBinaryField, EncryptedJSONField, EncryptedTextField
from keylife.legacy import Plain

OLD = Fernet(Fernet.generate_key())


def readers():
    return [OLD, Plain()]


class Card(models.Model):
    number = EncryptedTextField(key="orders", legacy="shop.models.readers", null=True)
    holder = models.TextField(default="")

    class Meta:
        app_label = "shop"


class Document(models.Model):
    content = EncryptedBinaryField(key="payments", null=True, blank=True, editable=True)
    more = EncryptedJSONField(key="orders", null=True, blank=True)
    note = EncryptedTextField(key="orders", default="none", blank=True, max_length=20)

    class Meta:
        app_label = "shop"
