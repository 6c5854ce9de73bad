# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What columns held before: whose a value is, and how it is read."""

from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet, MultiFernet

from keylife import AccessDenied, InvalidMessage, KeyStateError, Unavailable, legacy
from keylife._column import ColumnCipher, each_of, from_json, from_utf8, to_utf8
from keylife._frame import rewrapped
from keylife._lazy import Lazy
from keylife.testing import FakeVault

OLD, NEW = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
CONTEXT = {"table": "cards", "column": "number"}


@pytest.fixture
def key():
    with FakeVault("orders").client() as client:
        yield client.key("orders")


def cipher(key, *readers):
    return ColumnCipher("cards.number", lambda: key, CONTEXT, legacy.readers(readers))


@pytest.fixture
def vault():
    return FakeVault("orders", "old")


@pytest.fixture
def transit(vault):
    with vault.client() as client:
        yield legacy.Transit(lambda: client, "old", "/old-transit/")


def old(vault, plaintext):
    """What Transit's encrypt gives."""
    return vault._keys["old"]._seal(plaintext)


def test_every_form_is_read_by_its_reader(key, vault, transit):
    column = cipher(key, MultiFernet([NEW, OLD]), transit, legacy.Plain())
    token, ciphertext = OLD.encrypt(b"a token"), old(vault, b"a ciphertext")
    for text in (True, False):
        assert column.read(column.write(b"a message", text)) == b"a message"
    assert column.read(token) == column.read(token.decode()) == b"a token"
    assert column.read(ciphertext) == column.read(ciphertext.encode()) == b"a ciphertext"
    assert column.read("4111 1111") == column.read(b"4111 1111") == b"4111 1111"
    assert column.read("") == b""
    assert [column.form(value)[:3] for value in (token, ciphertext, "4111")] == [("fernet", "", 0), ("transit", "", 1), ("plain", "", 0)]


@pytest.mark.parametrize("stored", [
    "kle1.AAAA", b"KLE1", "KLE1\x01", "kle1.", b"kle1.\xff", "vault:v1:", "vault:v1", "gAAAAB", "vault:v0:AAAA", "gAAAAAé" + "A" * 99,
])
def test_what_looks_encrypted_is_never_plaintext(key, stored):
    column = cipher(key, OLD, legacy.Plain())
    with pytest.raises(InvalidMessage):
        column.read(stored)
    assert column.form(stored).kind == "unreadable"


def test_a_value_that_its_reader_cannot_open_is_nobody_elses(key):
    column = cipher(key, OLD, NEW, legacy.Plain())
    with pytest.raises(InvalidMessage) as raised:
        column.read(NEW.encrypt(b"x"))
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


def test_without_readers_only_messages_are_read(key):
    with pytest.raises(legacy.UnknownForm, match=r"^cards\.number: what is stored is of no form that is read here: kle1$") as raised:
        cipher(key).read("4111 1111 1111 1111")
    assert "4111" not in repr(raised.value)
    with pytest.raises(InvalidMessage):
        cipher(key).read(OLD.encrypt(b"x"))


@pytest.mark.parametrize("readers, said", [
    ([legacy.Plain(), OLD], "Plain"), ([object()], r"legacy\[0\]"), ("Plain", "list of readers"), ([Fernet], "got type"),
    (OLD, "list of readers"),
])
def test_a_list_that_cannot_be_meant_is_refused(readers, said):
    with pytest.raises((TypeError, ValueError), match=said):
        legacy.readers(readers)


def test_a_key_is_not_taken_for_a_fernet(key):
    with pytest.raises(TypeError, match="got Key"):
        legacy.readers([key])


def test_many_are_read_by_one_request_a_reader(key, vault, transit):
    column = cipher(key, OLD, transit)
    archived = old(vault, b"x")
    vault.rotate("old")
    vault.set_state("old", 1, "archived")
    stored = [
        column.write(b"0", True), OLD.encrypt(b"1"), old(vault, b"2"), "plain", old(vault, b"3"), NEW.encrypt(b"4"), "vault:v2:BAD=",
        archived, "kle1.AAAA",
    ]
    results = column.read_many(stored)
    assert results[:3] == [b"0", b"1", b"2"] and results[4] == b"3"
    kinds = [type(results[i]) for i in (3, 5, 6, 7, 8)]
    assert kinds == [legacy.UnknownForm, InvalidMessage, InvalidMessage, KeyStateError, InvalidMessage]
    assert (results[7].state, results[7].version) == ("archived", 1)
    assert vault.requests["decrypt"] == 1
    ciphertext = old(vault, b"x").encode()
    assert transit.read_many([ciphertext] * 300) == [b"x"] * 300
    assert vault.requests["decrypt"] == 3


@pytest.mark.parametrize("outage, denied, kind", [
    ("down", False, Unavailable), ("sealed", False, Unavailable), ("garbled", False, Unavailable), ("none", True, AccessDenied),
])
def test_a_no_of_transit_is_no_outage(vault, transit, outage, denied, kind):
    ciphertext = old(vault, b"x")
    vault.set_outage(outage)
    if denied:
        vault.deny("old", "decrypt")
    with pytest.raises(kind) as raised:
        transit.read(ciphertext.encode())
    assert ciphertext not in str(raised.value)


def test_one_refused_ciphertext_is_one_error(transit):
    with pytest.raises(InvalidMessage):
        transit.read(b"vault:v1:BAD=")


@pytest.mark.parametrize("key, mount, said", [("", "transit", "key name"), ("../sys", "transit", "key name"), ("old", "../sys", "mount")])
def test_transit_has_a_key_at_a_mount(vault, key, mount, said):
    with vault.client() as client, pytest.raises(ValueError, match=said):
        legacy.Transit(client, key, mount)


def test_data_keys_are_fetched_ahead_in_one_request():
    vault = FakeVault("orders")
    stored = []
    for _ in range(5):
        with vault.client() as writer:
            stored += [cipher(writer.key("orders")).write(b"x", True) for _ in range(20)]
    with vault.client() as client:
        column = cipher(client.key("orders"), legacy.Plain())
        vault.requests.clear()
        column.prefetch([*stored, None, "plain", "kle1.AAAA", memoryview(b"KLE1")])
        assert vault.requests["decrypt"] == 1
        assert {column.read(each) for each in stored} == {b"x"}
        assert vault.requests["decrypt"] == 1
        vault.set_outage("down")
        column.prefetch([])
    asked = []
    counting = SimpleNamespace(decrypt_many=lambda messages, _: asked.append(len(messages)) or [])
    ColumnCipher("cards.number", lambda: counting, {}).prefetch(stored)
    assert asked == [5], "one message of each data key"


def test_a_client_is_made_once(vault):
    lazy = Lazy(vault.client)
    with lazy() as client:
        assert lazy() is lazy._first() is client
        assert lazy.key("orders") is lazy.key("orders")


def test_errors_hold_no_plaintext():
    for act in (lambda: to_utf8("t.c", "secret\ud800"), lambda: from_utf8("t.c", b"secret\xff"), lambda: from_json("t.c", b'{"secret')):
        with pytest.raises(Exception, match=r"^t\.c: ") as raised:
            act()
        assert "secret" not in repr(vars(raised.value)) + repr(raised.value.args)
        assert raised.value.__suppress_context__


def test_what_is_no_data_key_spoils_no_other(vault):
    with vault.client() as writer:
        good = writer.key("orders").encrypt(b"x")
    other = rewrapped(good, vault._keys["orders"]._seal(b"not 32 bytes"))
    with vault.client() as reader:
        good_one, bad_one = each_of(lambda: reader.key("orders").decrypt_many([good, other]))
    assert good_one == b"x" and isinstance(bad_one, InvalidMessage)
