# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The client of the settings."""

from typing import Any, Mapping

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .._client import Client
from .._key import Key
from .._lazy import Lazy


def _configured() -> Client:
    setting = getattr(settings, "KEYLIFE", None)
    if isinstance(setting, str):
        setting = import_string(setting)
    if isinstance(setting, Client):
        return setting
    if isinstance(setting, Mapping):
        return _from_parameters(setting)
    if not callable(setting):
        raise ImproperlyConfigured("KEYLIFE: want the parameters of keylife.Client, or what gives a client, or its dotted path")
    given = setting()
    if not isinstance(given, Client):
        raise ImproperlyConfigured(f"KEYLIFE: gave {type(given).__name__}, want a keylife.Client")
    return given


def _from_parameters(parameters: Mapping[str, Any]) -> Client:
    try:
        return Client(**parameters)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"KEYLIFE: {error}") from error


_client = Lazy(_configured)


def client() -> Client:
    """The client of the settings, made at the first use."""
    return _client()


def key(name: str) -> Key:
    return _client.key(name)


def _forget(*, setting: str, **more: Any) -> None:
    """The settings are others in a test."""
    global _client
    if setting == "KEYLIFE":
        _client = Lazy(_configured)


setting_changed.connect(_forget)
