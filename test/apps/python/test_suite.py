# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What the library does on any engine: ../suite_test.go in Python. ../interchange_test.go starts it, with a Vault."""

import itertools
import os
import uuid
from pathlib import Path
from typing import Any, Iterator, List, Union

import hvac
import pytest

from keylife import AccessDenied, Client, InvalidMessage, Key, KeyStateError, inspect

MOUNT = os.environ["KEYLIFE_MOUNT"]
INTERCHANGE = Path(os.environ["KEYLIFE_INTERCHANGE"])
CARD = {"table": "cards", "row": "7"}
LARGE = (2 << 20) + 5

names = (f"{uuid.uuid4()}" for _ in itertools.count())


class Engine:
    def __init__(self) -> None:
        self.vault = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
        self.clients: "list[Client]" = []

    def write(self, path: str, **body: Any) -> Any:
        return self.vault.adapter.post(f"/v1/{path}", json=body)

    def key(self) -> Key:
        name = next(names)
        self.write(f"{MOUNT}/keys/{name}")
        return self.again(name)

    def rotate(self, key: Key) -> None:
        self.write(f"{MOUNT}/keys/{key.name}/rotate")

    def again(self, name: str, **how: Any) -> Key:
        """The key for another client, which knows no data key."""
        self.clients.append(Client(mount=MOUNT, **how))
        return self.clients[-1].key(name)

    def only(self, op: str, name: str) -> Key:
        """The key for a client that may do an op on it and nothing else."""
        policy = next(names)
        self.write(f"sys/policies/acl/{policy}", policy=f'path "{MOUNT}/{op}/{name}" {{ capabilities = ["update"] }}')
        made = self.write("auth/token/create-orphan", policies=[policy], ttl="1h")
        return self.again(name, token=made["auth"]["client_token"])


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    for client in made.clients:
        client.close()


def test_what_is_encrypted_opens(engine: Engine) -> None:
    key = engine.key()
    assert key.decrypt(key.encrypt(b"4111", CARD), CARD) == b"4111"
    assert key.decrypt(key.encrypt(b"", CARD), CARD) == b""
    assert key.decrypt_text(key.encrypt_text("4111", CARD), CARD) == "4111"


def test_another_client_opens_it(engine: Engine) -> None:
    key = engine.key()
    assert engine.again(key.name).decrypt(key.encrypt(b"4111", CARD), CARD) == b"4111"


def test_many_are_opened_at_once(engine: Engine) -> None:
    key = engine.key()
    messages = [engine.again(key.name).encrypt(b"%d" % n, CARD) for n in range(3)]
    assert key.decrypt_many(messages, CARD) == [b"0", b"1", b"2"]


def test_a_rotation_is_noticed(engine: Engine) -> None:
    key = engine.key()
    old = key.encrypt(b"old", CARD)
    engine.rotate(key)
    key.refresh()
    assert [inspect(old).version, inspect(key.encrypt(b"new", CARD)).version, key.version()] == [1, 2, 2]
    assert key.decrypt(old, CARD) == b"old"


def test_rewrap_moves_a_message_to_the_newest_version(engine: Engine) -> None:
    key = engine.key()
    old: List[Union[bytes, str]] = [key.encrypt(b"old", CARD), key.encrypt_text("old", CARD)]
    engine.rotate(key)
    moved = engine.only("rewrap", key.name).rewrap(old)
    assert [inspect(m).version for m in moved] == [2, 2]
    assert [type(m) for m in moved] == [bytes, str]
    assert engine.again(key.name).decrypt_many(moved, CARD) == [b"old", b"old"]


def test_a_stream_opens(engine: Engine, tmp_path: Path) -> None:
    key, path, plaintext = engine.key(), tmp_path / "stream", os.urandom(LARGE)
    with key.open(path, "wb", context=CARD) as stream:
        stream.write(plaintext)
    with engine.again(key.name).open(path, "rb", context=CARD) as stream:
        assert stream.read() == plaintext


def test_a_message_opens_with_its_context_only(engine: Engine) -> None:
    key = engine.key()
    with pytest.raises(InvalidMessage):
        key.decrypt(key.encrypt(b"4111", CARD), {**CARD, "row": "8"})


def test_a_message_opens_with_its_key_only(engine: Engine) -> None:
    message = engine.key().encrypt(b"4111", CARD)
    with pytest.raises(InvalidMessage):
        engine.key().decrypt(message, CARD)


def test_a_key_that_is_not_there_is_refused(engine: Engine) -> None:
    absent, message = engine.again(next(names)), engine.key().encrypt(b"4111", CARD)
    with pytest.raises(KeyStateError) as refused:
        absent.encrypt(b"4111", CARD)
    assert refused.value.version == 0 and refused.value.reason
    with pytest.raises(KeyStateError):
        absent.decrypt(message, CARD)


def test_a_version_below_min_decryption_version_is_refused(engine: Engine) -> None:
    key = engine.key()
    old = key.encrypt(b"old", CARD)
    engine.rotate(key)
    engine.write(f"{MOUNT}/keys/{key.name}/config", min_decryption_version=2)
    with pytest.raises(KeyStateError):
        engine.again(key.name).decrypt(old, CARD)


def test_a_token_without_a_right_is_refused(engine: Engine) -> None:
    key = engine.key()
    with pytest.raises(AccessDenied):
        engine.only("decrypt", "another").encrypt(b"4111", CARD)
    with pytest.raises(AccessDenied):
        engine.only("datakey/plaintext", key.name).decrypt(key.encrypt(b"4111", CARD), CARD)


def test_a_use_needs_its_own_right_only(engine: Engine) -> None:
    name = engine.key().name
    producer = engine.only("datakey/plaintext", name)
    message = producer.encrypt(b"4111", CARD)
    producer.refresh()
    assert producer.decrypt(message, CARD) == b"4111"  # as it has the data key
    assert engine.only("decrypt", name).decrypt(message, CARD) == b"4111"


def test_what_go_wrote_opens(engine: Engine) -> None:
    key = engine.again(os.environ["KEYLIFE_INTERCHANGE_KEY"])
    assert key.decrypt((INTERCHANGE / "go.field").read_bytes(), CARD) == b"written in go"
    with key.open(INTERCHANGE / "go.stream", "rb", context=CARD) as stream:
        assert stream.read() == bytes(LARGE)


def test_what_go_will_open_is_written(engine: Engine) -> None:
    key = engine.again(os.environ["KEYLIFE_INTERCHANGE_KEY"])
    (INTERCHANGE / "python.field").write_bytes(key.encrypt(b"written in python", CARD))
    with key.open(INTERCHANGE / "python.stream", "wb", context=CARD) as stream:
        stream.write(bytes(LARGE))
