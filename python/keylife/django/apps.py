# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

from django.apps import AppConfig


class KeylifeConfig(AppConfig):
    """Brings the command keylife_rewrap."""

    name = "keylife.django"
    label = "keylife"
