# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Encrypted fields for Django: EncryptedTextField(key="orders").

The context of a value is its table and column, so it opens in no other. Where either is renamed, the old names are given as
context. Values cannot be looked up by the database; only isnull can be asked.

The settings have KEYLIFE: the parameters of keylife.Client, or what gives a client, also as a dotted path. INSTALLED_APPS has
"keylife.django" for the command keylife_rewrap.
"""

from ._client import client
from .fields import EncryptedBinaryField, EncryptedJSONField, EncryptedTextField

__all__ = ["EncryptedBinaryField", "EncryptedJSONField", "EncryptedTextField", "client"]
