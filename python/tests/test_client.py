# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Key and Client, as applications use them."""

import asyncio
import contextvars
import copy
import gc
import pickle
import threading
import tracemalloc
import weakref

import pytest

import keylife
from keylife import AccessDenied, BatchError, Bounds, Client, ClientClosed, InvalidMessage, KeyStateError, Offline, Unavailable
from keylife import _envelope as envelope
from keylife._client import MAX_DATA_KEYS
from keylife._world import World
from keylife.testing import FakeVault

CONTEXT = {"table": "cards", "row": "17"}


@pytest.fixture
def vault():
    return FakeVault("orders", "payments")


@pytest.fixture
def orders(vault):
    return vault.client().key("orders")


def many(vault, count):
    """Messages of so many data keys, as other processes write them."""
    key, messages = vault._keys["orders"], []
    for number in range(count):
        material = number.to_bytes(32, "big")
        messages.append(envelope.DataKey("orders", key._seal(material), material).seal(b"%d" % number))
    return messages


def test_what_is_encrypted_is_decrypted(orders):
    for plaintext in (b"", b"4111", b"x" * 100_000):
        for context in (None, {}, CONTEXT):
            assert orders.decrypt(orders.encrypt(plaintext, context), context) == plaintext
    assert orders.decrypt(bytearray(orders.encrypt(bytearray(b"a")))) == b"a"
    assert orders.decrypt(memoryview(orders.encrypt(memoryview(b"a")))) == b"a"
    text = orders.encrypt_text("é", CONTEXT)
    assert text.startswith("kle1.") and orders.decrypt_text(text, CONTEXT) == "é" and orders.decrypt(text, CONTEXT) == "é".encode()
    assert orders.decrypt_text(orders.encrypt(b"a")) == "a"
    assert keylife.inspect(text) == (False, "orders", 1)


def test_a_message_that_was_altered_is_invalid_warm_and_cold(vault, orders):
    message = orders.encrypt(b"4111", CONTEXT)
    for key in (orders, vault.client().key("orders")):
        for at in (0, 4, 5, 6, 20, len(message) - 80, len(message) - 20, len(message) - 1):
            altered = message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]
            with pytest.raises((InvalidMessage, KeyStateError)):
                key.decrypt(altered, CONTEXT)
        for size in (0, 1, 7, 8, 100, *range(len(message) - 33, len(message))):
            with pytest.raises(InvalidMessage):
                key.decrypt(message[:size], CONTEXT)
        assert key.decrypt(message, CONTEXT) == b"4111"
        assert key.decrypt(message.replace(b"orders", b"renamd", 1), CONTEXT) == b"4111", "the name is a hint"


def test_a_stream_is_no_message_in_one_piece(orders):
    import io

    target = io.BytesIO()
    data_key, count = orders.protecting_data_key()
    with data_key.writer(target, CONTEXT) as stream:
        stream.write(b"4111")
    count(4)
    with pytest.raises(InvalidMessage):
        orders.decrypt(target.getvalue(), CONTEXT)
    source = io.BytesIO(target.getvalue())
    header = envelope.read_header(source)
    assert orders.data_key_for(header).reader(header, source, CONTEXT).readall() == b"4111"


def test_input_is_told_in_detail(vault, orders):
    with pytest.raises(TypeError, match="plaintext: str, want bytes"):
        orders.encrypt("text")
    with pytest.raises(TypeError, match="message: int, want bytes"):
        orders.decrypt(7)
    with pytest.raises(ValueError, match="context: a name is empty"):
        orders.encrypt(b"x", {"": "a"})
    with pytest.raises(ValueError, match="contexts: 1 for 2 messages"):
        orders.decrypt_many([b"", b""], [None])
    for name in ("", "a/b", "../sys", "a b", "é", "a" * 256):
        with pytest.raises(ValueError, match="key name"):
            vault.client().key(name)
    with pytest.raises(ValueError, match="bounds.max_bytes is 100"):
        vault.client(bounds=Bounds(max_bytes=100)).key("orders").encrypt(bytes(101))


@pytest.mark.parametrize(
    "bad, field",
    [
        ({"ttl": 0.5}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"stale_protect": 299}, "stale_protect"),
        ({"max_stale": 899}, "max_stale"),
        ({"data_key_age": 86401}, "data_key_age"),
        ({"max_messages": 0}, "max_messages"),
        ({"max_messages": (1 << 20) + 1}, "max_messages"),
        ({"max_bytes": (64 << 30) + 1}, "max_bytes"),
    ],
)
def test_bounds_are_checked(bad, field):
    with pytest.raises(ValueError, match=f"bounds.{field}: .*, want .* to "):
        Bounds(**bad)


def test_arguments_are_checked(monkeypatch):
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    for arguments, text in [
        ({}, "VAULT_ADDR"),
        ({"url": "vault:8200"}, "http://"),
        ({"mount": "a/../b"}, "mount"),
        ({"mount": ""}, "mount"),
        ({"consumer": "a\nX-Vault-Token: b"}, "consumer"),
        ({"timeout": 0}, "timeout"),
        ({"wait": -1}, "wait"),
        ({"auth": keylife.AppRole("r"), "token": "t"}, "exclude"),
    ]:
        with pytest.raises(ValueError, match=text):
            Client(**{"url": "http://vault.invalid", "token": "t", **arguments} if arguments else {"token": "t"})
    with pytest.raises(ValueError, match="offline.for_"):
        Offline("f", 8 * 86400, lambda: bytes(32))


def test_many_are_opened_by_few_requests(vault, orders):
    messages = many(vault, 600)
    assert orders.decrypt_many(messages) == [b"%d" % number for number in range(600)]
    assert vault.requests["decrypt"] == 3
    assert orders.decrypt_many(messages) == [b"%d" % number for number in range(600)]
    assert vault.requests["decrypt"] == 3
    assert orders.decrypt_many([]) == []


def test_of_many_each_has_its_own_context(orders):
    messages = [orders.encrypt(b"%d" % row, {"row": str(row)}) for row in range(3)]
    contexts = [{"row": str(row)} for row in range(3)]
    assert orders.decrypt_many(messages, contexts) == [b"0", b"1", b"2"]
    with pytest.raises(BatchError) as caught:
        orders.decrypt_many(messages + [b"junk", 7], contexts + [None, None])
    assert caught.value.results == [b"0", b"1", b"2", None, None]
    assert {index: type(error) for index, error in caught.value.errors.items()} == {3: InvalidMessage, 4: TypeError}


def test_an_outage_fails_what_is_unknown_and_nothing_else(vault, orders):
    known, (unknown,) = orders.encrypt(b"known"), many(vault, 1)
    vault.set_outage("down")
    vault.advance(400)
    with pytest.raises(BatchError) as caught:
        orders.decrypt_many([known, unknown])
    assert caught.value.results == [b"known", None]
    assert isinstance(caught.value.errors[1], Unavailable)


def test_an_attempt_that_has_no_second_left_is_not_made(vault):
    vault.set_outage("down")
    with vault.client(timeout=3.2) as client, pytest.raises(Unavailable):
        client.key("orders").encrypt(b"a")
    assert vault.requests["login"] == 6, "after 0, 0.05, 0.15, 0.35, 0.75 and 1.55 seconds, and not after 3.15"


def test_uses_that_have_little_time_do_not_put_off_others(vault):
    with vault.client(timeout=0.2) as client:
        vault.set_outage("slow")
        for _ in range(10):
            with pytest.raises(Unavailable):
                client.key("orders").encrypt(b"a")
        vault.set_outage("none")
        assert client.key("orders").encrypt(b"a")


@pytest.mark.parametrize("use", ["encrypt", "decrypt"])
def test_what_a_use_has_not_waited_for_is_asked_in_the_background(vault, use):
    """A Vault that takes longer than a second would be asked in vain for ever, if uses alone asked it."""
    with vault.client() as client:
        orders = client.key("orders")
        message = many(vault, 1)[0]
        uses = {"encrypt": lambda: orders.encrypt(b"a"), "decrypt": lambda: orders.decrypt(message)}
        uses[use]()
        vault.advance(310)
        vault.set_outage("slow")
        vault.advance(300)
        uses[use]()
        before = vault.requests.copy()
        vault.set_outage("none")
        vault.advance(0)
        assert sum((vault.requests - before).values()) == 1
        uses[use]()
        assert sum((vault.requests - before).values()) == 1


def test_rewrap_keeps_form_and_body(vault, orders):
    messages = [orders.encrypt(b"a", CONTEXT), orders.encrypt_text("b", CONTEXT), orders.encrypt(b"c", CONTEXT)]
    vault.rotate("orders")
    rewrapped = orders.rewrap(messages)
    assert [type(message) for message in rewrapped] == [bytes, str, bytes]
    assert [keylife.inspect(message).version for message in rewrapped] == [2, 2, 2]
    assert rewrapped[0][-17:] == messages[0][-17:]
    assert vault.requests["rewrap"] == 1, "they have one data key"
    assert orders.decrypt_many(rewrapped, CONTEXT) == [b"a", b"b", b"c"]
    with pytest.raises(BatchError) as caught:
        orders.rewrap([messages[0], b"junk"])
    assert keylife.inspect(caught.value.results[0]).version == 2 and caught.value.results[1] is None
    vault.set_outage("failing")
    with pytest.raises(BatchError) as caught:
        orders.rewrap(messages)
    assert {type(error) for error in caught.value.errors.values()} <= {Unavailable, keylife._http.Outage}


def test_a_closed_client_does_nothing(vault):
    with vault.client() as client:
        orders = client.key("orders")
        message = orders.encrypt(b"a")
    client.close()
    for use in (
        lambda: orders.encrypt(b"a"),
        lambda: orders.decrypt(message),
        lambda: orders.decrypt_many([message], None),
        lambda: orders.rewrap([message]),
        orders.refresh,
        orders.version,
    ):
        with pytest.raises(ClientClosed):
            use()


def test_stats_tell_how_keys_stand(vault):
    client = vault.client()
    client.key("payments")
    client.key("orders").encrypt(b"a")
    vault.advance(100)
    assert client.stats() == [("payments", 0, 0, 0.0), ("orders", 1, 1, 100.0)]


def test_a_refresh_of_a_reader_makes_no_data_key(vault, orders):
    message = vault.client().key("orders").encrypt(b"a")
    orders.decrypt(message)
    orders.decrypt(message)
    vault.requests.clear()
    orders.refresh()
    assert vault.requests == {"decrypt": 1}


def test_a_clock_that_was_put_forward_ends_proofs(vault, orders):
    """As it looks after a machine slept: the monotonic clock stood."""
    message = orders.encrypt(b"a")
    vault.put_clock_back(-301)
    vault.requests.clear()
    orders.decrypt(message)
    assert vault.requests == {"decrypt": 1}
    orders.encrypt(b"a")
    assert vault.requests == {"decrypt": 1, "datakey": 1}
    vault.put_clock_back(-1000)
    vault.set_outage("down")
    assert orders.decrypt(message) == b"a"
    with pytest.raises(Unavailable):
        orders.encrypt(b"a")


def test_data_keys_beyond_the_most_are_those_used_longest_ago(vault, orders):
    messages = many(vault, MAX_DATA_KEYS)
    orders.decrypt_many(messages)
    vault.advance(1)
    orders.decrypt(messages[0])
    orders.encrypt(b"x")
    assert len(orders._ring.openings) == MAX_DATA_KEYS - MAX_DATA_KEYS // 16
    vault.requests.clear()
    orders.decrypt(messages[0])
    assert not vault.requests


def test_data_keys_are_small(vault, orders):
    messages = many(vault, MAX_DATA_KEYS)
    orders.encrypt(b"x")
    tracemalloc.start()
    try:
        for start in range(0, MAX_DATA_KEYS - 1, 1000):
            orders._ring.to_open([envelope.parse(message).header.edk for message in messages[start : start + 1000]][: MAX_DATA_KEYS - 1 - start])
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(orders._ring.openings) == MAX_DATA_KEYS
    assert size < 32 << 20


def test_async_uses_ask_in_a_thread_and_keep_their_context_variables(vault):
    variable = contextvars.ContextVar("variable", default="lost")
    seen = []

    class Metrics:
        def operation(self, key, op, source, outcome):
            seen.append((op, source, threading.current_thread() is threading.main_thread(), variable.get()))

        def request(self, key, op):
            return lambda outcome: None

    orders, reader = vault.client(metrics=Metrics()).key("orders"), vault.client(metrics=Metrics()).key("orders")

    async def uses():
        variable.set("kept")
        message = await orders.aencrypt(b"a", CONTEXT)
        text = await orders.aencrypt_text("b", CONTEXT)
        assert await reader.adecrypt(message, CONTEXT) == b"a"
        assert await reader.adecrypt_text(text, CONTEXT) == "b"
        assert await reader.adecrypt_many([message, text], CONTEXT) == [b"a", b"b"]

    asyncio.run(uses())
    assert seen == [
        ("encrypt", "engine", False, "kept"),
        ("encrypt", "local", True, "kept"),
        ("decrypt", "engine", False, "kept"),
        ("decrypt", "local", True, "kept"),
        ("decrypt", "local", True, "kept"),
        ("decrypt", "local", True, "kept"),
    ]


def test_metrics_are_told_of_uses_and_requests(vault):
    told = []

    class Metrics:
        def operation(self, *what):
            told.append(what)

        def request(self, key, op):
            return lambda outcome: told.append((key, op, outcome))

    orders = vault.client(metrics=Metrics()).key("orders")
    message = orders.encrypt(b"a")
    with pytest.raises(InvalidMessage):
        orders.decrypt(message, CONTEXT)
    with pytest.raises(TypeError):
        orders.encrypt("a")
    orders.rewrap([message])
    vault.deny("payments", "datakey")
    with pytest.raises(AccessDenied):
        orders._client.key("payments").encrypt(b"a")
    assert told == [
        ("", "login", "ok"),
        ("orders", "datakey", "ok"),
        ("orders", "encrypt", "engine", "ok"),
        ("orders", "decrypt", "local", "invalid_message"),
        ("orders", "encrypt", "local", "invalid_input"),
        ("orders", "rewrap", "ok"),
        ("orders", "rewrap", "engine", "ok"),
        ("payments", "datakey", "access_denied"),
        ("", "login", "ok"),
        ("payments", "datakey", "access_denied"),
        ("payments", "encrypt", "engine", "access_denied"),
    ]


def test_errors_are_copied_pickled_and_hold_no_plaintext(orders):
    errors = [
        Unavailable("a"),
        AccessDenied("a"),
        KeyStateError("orders", 2, "archived", "why"),
        InvalidMessage(),
        ClientClosed(),
        keylife._http.Outage("a", 3.0),
    ]
    for error in errors:
        for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)
    assert str(errors[2]) == 'key "orders", version 2: why'
    with pytest.raises(BatchError) as caught:
        orders.decrypt_many([orders.encrypt(b"secret"), b"junk"])
    again = pickle.loads(pickle.dumps(caught.value))
    for shown in (str(caught.value), repr(caught.value), repr(caught.value.args), pickle.dumps(caught.value)):
        assert "secret" not in str(shown)
    assert str(again) == str(caught.value) == "1 of 2 messages; message 1: invalid message"


def test_what_raises_in_the_background_is_left_alone_for_a_while(caplog):
    from keylife._world import _run

    class Task:
        def run(self):
            raise RuntimeError("the secret")

    assert _run(Task()) > 0
    assert caplog.messages == ["keylife: in the background: RuntimeError"]


class RealTime(World):
    """The clocks and threads of the real world, before a Vault in memory."""

    def __init__(self, vault):
        self._vault = vault
        vault.client()

    def http(self):
        return self._vault._world.http()


def test_a_client_that_is_dropped_ends_its_thread(vault):
    client = Client("http://vault.invalid", token=vault.new_token(), _world=RealTime(vault))
    orders = client.key("orders")
    assert client._core._around.background._thread is None, "there is none before the first use"
    orders.encrypt(b"a")
    thread, core = client._core._around.background._thread, weakref.ref(client._core)
    assert thread.is_alive() and thread.daemon
    del client
    gc.collect()
    assert thread.is_alive(), "a key holds its client"
    del orders
    gc.collect()
    thread.join()
    assert core() is None


def test_close_ends_the_thread(vault):
    client = Client("http://vault.invalid", token=vault.new_token(), _world=RealTime(vault))
    client.key("orders").encrypt(b"a")
    thread = client._core._around.background._thread
    client.close()
    assert not thread.is_alive()
