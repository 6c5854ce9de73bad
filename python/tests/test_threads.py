# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Many threads at once: requests are single, and whatever happens meanwhile, nothing is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keylife import AccessDenied, BatchError, Bounds, KeyStateError, Unavailable, inspect
from keylife._envelope import DataKey
from keylife._keyring import Keyring
from keylife.testing import FakeVault

THREADS = 32


class Gated(FakeVault):
    """Its answers to one operation wait until so many uses wait for a turn."""

    def __init__(self, op, waiting, *keys):
        super().__init__(*keys)
        self.op, self.waiting = op, waiting
        self.open = threading.Event()
        self.batches = []
        self._count = threading.Lock()
        world, acquire = self._world, self._world.acquire

        def counted(lock, seconds):
            if not lock.acquire(blocking=False):
                with self._count:
                    self.waiting -= 1
                    if not self.waiting:
                        self.open.set()
                return acquire(lock, seconds)
            return True

        world.acquire = counted

    def _answer(self, method, path, token, body):
        if f"/{self.op}/" in path:
            self.batches.append(len(body.get("batch_input", [None])))
            assert self.open.wait(60), "the others did not wait"
        return super()._answer(method, path, token, body)


def at_once(*uses):
    with ThreadPoolExecutor(len(uses)) as pool:
        return [future.result() for future in [pool.submit(use) for use in uses]]


def test_cold_uses_are_one_login_and_one_request():
    vault = Gated("datakey", THREADS - 1, "orders")
    orders = vault.client().key("orders")
    messages = at_once(*[lambda: orders.encrypt(b"a")] * THREADS)
    assert vault.requests == {"login": 1, "datakey": 1}
    assert orders.decrypt_many(messages) == [b"a"] * THREADS


def test_misses_that_come_meanwhile_are_the_next_batch():
    vault = Gated("decrypt", THREADS - 1, "orders")
    key, messages = vault._keys["orders"], []
    for number in range(THREADS):
        messages.append(DataKey("orders", key._seal(bytes((number,)) * 32), bytes((number,)) * 32).seal(b"a"))
    orders = vault.client().key("orders")
    assert at_once(*[lambda message=message: orders.decrypt(message) for message in messages]) == [b"a"] * THREADS
    assert sum(vault.batches) == THREADS
    assert len(vault.batches) == 2


def test_one_data_key_is_asked_for_once():
    vault = Gated("decrypt", THREADS - 1, "orders")
    message = vault.client().key("orders").encrypt(b"a")
    orders = vault.client().key("orders")
    assert at_once(*[lambda: orders.decrypt(message)] * THREADS) == [b"a"] * THREADS
    assert vault.batches == [1]


def test_a_refusal_is_that_of_all_who_waited():
    vault = Gated("datakey", THREADS - 1, "orders")
    vault.set_key_state("orders", "suspended")
    orders = vault.client().key("orders")

    def use():
        with pytest.raises(KeyStateError, match="suspended"):
            orders.encrypt(b"a")

    at_once(*[use] * THREADS)
    assert vault.requests["datakey"] == 1


def test_counts_are_exact_with_many_threads():
    vault = FakeVault("orders")
    orders = vault.client(bounds=Bounds(max_messages=100)).key("orders")
    messages = sum(at_once(*[lambda: [orders.encrypt(b"a") for _ in range(100)]] * THREADS), [])
    uses = {}
    for message in messages:
        head = message[:100]
        uses[head] = uses.get(head, 0) + 1
    assert max(uses.values()) <= 100
    assert orders.decrypt_many(messages) == [b"a"] * (100 * THREADS)


def test_a_storm_loses_nothing():
    vault = FakeVault("orders", "payments")
    client = vault.client()
    stop, written = threading.Event(), []
    allowed = (Unavailable, AccessDenied, KeyStateError)

    def uses(name):
        key, mine = client.key(name), []
        while not stop.is_set():
            try:
                message = key.encrypt(b"a")
                if len(mine) < 200:
                    mine.append(message)
                assert key.decrypt(mine[len(mine) // 2]) == b"a"
                key.decrypt_many(mine[-3:])
            except allowed:
                pass
            except BatchError as error:
                assert all(isinstance(each, allowed) for each in error.errors.values())
        written.append((name, mine))

    threads = [threading.Thread(target=uses, args=(name,)) for name in ("orders", "payments") * (THREADS // 2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(60):
            vault.set_outage(["none", "down", "sealed", "none", "garbled", "busy"][number % 6])
            if number % 4 == 0:
                vault.rotate("orders")
            if number % 5 == 0:
                vault.revoke_tokens()
            (vault.deny if number % 7 == 0 else vault.allow)("payments", "decrypt")
            vault.advance(130)
    finally:
        vault.set_outage("none")
        vault.allow("payments", "decrypt")
        stop.set()
        for thread in threads:
            thread.join()
    vault.advance(60)
    fresh = vault.client()
    for name, messages in written:
        assert fresh.key(name).decrypt_many(messages) == [b"a"] * len(messages)
    assert {inspect(message).key for _, messages in written for message in messages} == {"orders", "payments"}


def test_close_amid_uses_is_told_to_all_of_them():
    vault = FakeVault("orders")
    client = vault.client()
    orders = client.key("orders")
    orders.encrypt(b"a")
    started = threading.Barrier(THREADS + 1)

    def uses():
        started.wait()
        try:
            while True:
                orders.decrypt(orders.encrypt(b"a"))
        except Exception as error:
            return type(error).__name__

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(uses) for _ in range(THREADS)]
        started.wait()
        client.close()
        assert {future.result() for future in futures} == {"ClientClosed"}
    assert isinstance(orders._ring, Keyring) and not len(orders._ring.openings)
