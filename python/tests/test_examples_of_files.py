# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The examples of files and of a web application do what they say."""

import importlib.util
from pathlib import Path

import pytest

import keylife
from keylife.testing import FakeVault

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "python"


def example(name):
    spec = importlib.util.spec_from_file_location("example_" + name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def vault():
    return FakeVault("orders")


def test_files(vault, capsys):
    client = vault.client()
    client.key("orders").encrypt(b"")
    vault.rotate("orders")
    example("files").main(client)
    said = capsys.readouterr().out
    assert "inspected without a key: Info(stream=True, key='orders', version=1)" in said
    assert "rewrapped: version 2" in said
    assert "opened: 100000 lines" in said


def test_a_web_application_whose_keys_rotate(vault):
    web = example("flask_reload").create_app(vault.client()).test_client()
    old = web.post("/encrypt", data=b"4111\xff").get_data(as_text=True)
    assert old.startswith("kle1.") and web.get("/version").json == {"version": 1}
    vault.rotate("orders")
    vault.advance(300)
    assert web.get("/version").json == {"version": 2}
    new = web.post("/encrypt", data=b"5500").get_data(as_text=True)
    assert keylife.inspect(new).version == 2
    assert [web.post("/decrypt", data=text + "\n").data for text in (old, new)] == [b"4111\xff", b"5500"]


def test_a_web_application_tells_who_asks_no_more_than_he_may_know(vault):
    web = example("flask_reload").create_app(vault.client()).test_client()
    message = web.post("/encrypt", data=b"4111").get_data(as_text=True)
    other = web.post("/decrypt", data=message[:-1])
    assert (other.status_code, other.json) == (400, {"error": "invalid message"})
    vault.set_state("orders", 1, "suspended")
    vault.advance(600)
    refused = web.post("/decrypt", data=message)
    assert (refused.status_code, refused.json) == (403, {"error": "not allowed"})
    vault.set_outage("sealed")
    vault.advance(60)
    away = web.post("/decrypt", data=message)
    assert (away.status_code, away.json) == (503, {"error": "try again later"})


def test_a_web_application_that_gets_no_data_key_does_not_start(vault):
    vault.deny("orders", "datakey")
    with pytest.raises(keylife.AccessDenied):
        example("flask_reload").create_app(vault.client())


