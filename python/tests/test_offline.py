# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What the scenarios do not tell of starting without Vault: limits, writes, and files that cannot be written or believed."""

import logging
import os

import pytest

from keylife import AccessDenied, Bounds, KeyStateError, Offline, Unavailable, inspect
from keylife._sealed import Binding, SealedFile
from keylife.testing import FakeVault

DAY = 24 * 3600.0


def sealer():
    return b"s" * 32


class Setting:
    """A Vault, and clients of it with one file."""

    def __init__(self, path):
        self.path = path
        self.vault = FakeVault("orders")

    def start(self, **more):
        more.setdefault("offline", Offline(self.path, DAY, sealer))
        self.client = self.vault.client(**more)
        self.orders = self.client.key("orders")
        return self.orders

    def kept(self):
        file = SealedFile(self.path, sealer, Binding("http://vault.invalid:8200", "", "keylife"), DAY)
        return file.load(self.vault._world.wall())

    def written(self):
        return os.stat(self.path).st_ino if self.path.exists() else None


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path / "sealed")


def test_a_restored_data_key_encrypts_a_sixteenth_and_each_start_has_less(setting):
    bounds = Bounds(max_messages=64)
    orders = setting.start(bounds=bounds)
    for _ in range(50):
        orders.encrypt(b"")
    setting.client.close()  # says what the data key did
    assert setting.kept()[0].messages == 50
    setting.vault.set_outage("down")
    for most in (4, 4, 4, 2, 0):
        orders = setting.start(bounds=bounds)
        encrypted = 0
        with pytest.raises(Unavailable):
            while True:
                orders.encrypt(b"")
                encrypted += 1
        assert encrypted == most
        # No close: the next start knows nothing of what this one did.


def test_bytes_are_shared_too(setting):
    bounds = Bounds(max_bytes=1600)
    setting.start(bounds=bounds).encrypt(b"x")
    setting.vault.advance(0)
    setting.vault.set_outage("down")
    orders = setting.start(bounds=bounds)
    orders.encrypt(bytes(100))
    with pytest.raises(Unavailable):
        orders.encrypt(b"x")


def test_when_vault_is_back_ordinary_rules_apply(setting):
    message = setting.start().encrypt(b"a")
    setting.vault.advance(0)
    setting.vault.set_outage("down")
    orders = setting.start()
    assert orders.decrypt(message) == b"a"
    setting.vault.rotate("orders")
    setting.vault.set_outage("none")
    setting.vault.requests.clear()
    setting.vault.advance(15)
    assert inspect(orders.encrypt(b"b")).version == 2
    for _ in range(2):
        assert orders.decrypt(message) == b"a"
    assert setting.vault.requests["decrypt"] == 1  # what the file proved is asked for once
    setting.vault.set_outage("down")
    setting.vault.advance(2 * 3600)
    with pytest.raises(Unavailable):  # of this process now, so an hour and not a day
        orders.decrypt(message)


def test_a_data_key_that_is_no_longer_used_is_kept_for_a_start_and_opens_nothing_meanwhile(setting):
    message = setting.start().encrypt(b"a")
    setting.vault.rotate("orders")
    setting.orders.refresh()
    for _ in range(8):
        setting.orders.encrypt(b"b")
        setting.vault.advance(1800)
    setting.vault.set_outage("down")
    with pytest.raises(Unavailable):
        setting.orders.decrypt(message)
    assert setting.start().decrypt(message) == b"a"


def test_it_is_written_after_what_changed_and_not_more_often_than_once_a_second(setting):
    setting.start().encrypt(b"a")
    setting.vault.advance(0)
    first = setting.written()
    assert first
    setting.orders.encrypt(b"a")
    setting.vault.advance(5)
    assert setting.written() == first
    setting.orders.refresh()
    setting.vault.advance(0)
    second = setting.written()
    assert second != first
    setting.orders.refresh()
    setting.vault.advance(0.9)
    assert setting.written() == second
    setting.vault.advance(0.1)
    third = setting.written()
    assert third != second
    setting.vault.set_outage("down")
    setting.vault.advance(600)
    assert setting.written() == third  # an outage proves nothing


def test_a_client_that_did_nothing_leaves_the_file_alone(setting):
    setting.start().encrypt(b"a")
    setting.client.close()
    before = setting.written()
    setting.start()
    setting.client.close()
    assert setting.written() == before and len(setting.kept()) == 1


def test_a_file_that_cannot_be_written_stops_nothing(setting, tmp_path, caplog):
    setting.path = tmp_path / "none" / "sealed"
    orders = setting.start()
    assert orders.decrypt(orders.encrypt(b"a")) == b"a"
    setting.vault.advance(0)
    assert "was not written" in caplog.text
    setting.path.parent.mkdir()
    setting.vault.advance(10)
    assert len(setting.kept()) == 1


def test_a_data_key_that_was_refused_leaves_the_file_even_if_that_cannot_be_written(setting, monkeypatch):
    message = setting.start().encrypt(b"a")
    setting.vault.advance(0)
    assert setting.path.exists()
    setting.vault.deny("orders", "datakey")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(AccessDenied):
        setting.orders.refresh()
    setting.vault.advance(0)
    assert not setting.path.exists()
    monkeypatch.undo()
    setting.vault.set_outage("down")
    with pytest.raises(Unavailable):
        setting.start().decrypt(message)


def test_a_version_that_was_suspended_does_not_come_back(setting):
    message = setting.start().encrypt(b"a")
    setting.vault.advance(0)
    setting.vault.set_state("orders", 1, "suspended")
    setting.vault.advance(600)
    with pytest.raises(KeyStateError):
        setting.orders.decrypt(message)
    setting.vault.advance(0)
    setting.vault.set_outage("down")
    with pytest.raises(Unavailable):
        setting.start().decrypt(message)


def test_a_refused_file_and_a_sealer_that_fails_are_logged_without_its_words(setting, caplog):
    def failing():
        raise RuntimeError("the sealing key is hunter2")

    caplog.set_level(logging.INFO)
    setting.start().encrypt(b"a")
    setting.vault.advance(0)
    setting.vault.set_outage("down")
    with pytest.raises(Unavailable):
        setting.start(offline=Offline(setting.path, DAY, failing)).encrypt(b"a")
    assert "not used: RuntimeError" in caplog.text and "hunter2" not in caplog.text
    with pytest.raises(Unavailable):
        setting.start(mount="other").encrypt(b"a")
    assert "for another engine" in caplog.text and not setting.path.exists()


def test_it_is_read_only_if_the_first_request_is_answered_by_nobody(setting):
    message = setting.start().encrypt(b"a")
    setting.vault.advance(0)
    setting.start().encrypt(b"b")
    setting.vault.set_outage("down")
    with pytest.raises(Unavailable):
        setting.orders.decrypt(message)
