# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What both clients do, as client/testdata/scenarios.json tells it. Go runs the same."""

import json
import re
from pathlib import Path

import pytest

from keylife import AccessDenied, BatchError, Bounds, InvalidMessage, KeyStateError, Unavailable, inspect
from keylife._envelope import DataKey
from keylife._frame import parse
from keylife.testing import FakeVault

SCENARIOS = json.loads((Path(__file__).resolve().parents[2] / "client" / "testdata" / "scenarios.json").read_text())["scenarios"]
OUTCOMES = {
    Unavailable: "unavailable",
    AccessDenied: "access_denied",
    KeyStateError: "key_state",
    InvalidMessage: "invalid_message",
}
BOUNDS = {
    "TTL": "ttl",
    "StaleProtect": "stale_protect",
    "MaxStale": "max_stale",
    "DataKeyAge": "data_key_age",
    "MaxMessages": "max_messages",
    "MaxBytes": "max_bytes",
}
UNITS = {"h": 3600, "m": 60, "s": 1}


def seconds(duration):
    parts = re.findall(r"(\d+)([hms])", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def outcome(error):
    for kind, name in OUTCOMES.items():
        if isinstance(error, kind):
            return name
    raise error


class Sources:
    """Metrics that keep the last uses."""

    def __init__(self):
        self.seen = []

    def operation(self, key, op, source, outcome):
        self.seen.append(source)

    def request(self, key, op):
        return lambda outcome: None


class Run:
    def __init__(self, scenario, folder):
        self.scenario = scenario
        self.folder = folder
        self.vault = FakeVault("orders", "payments")
        token = scenario.get("token")
        if token:
            self.vault.set_tokens(seconds(token["ttl"]), token["renewable"])
        self.messages = {"#junk": DataKey("orders", "vault:v1:AAAA", bytes(32)).seal(b"x")}
        self.clients = []
        self.renewals = 0
        self.restart()

    def restart(self):
        self.sources = Sources()
        limits = self.scenario.get("bounds", {})
        bounds = Bounds(**{BOUNDS[name]: seconds(value) if isinstance(value, str) else value for name, value in limits.items()})
        more = {}
        if "offline" in self.scenario:
            from keylife import Offline

            more["offline"] = Offline(self.folder / "sealed", seconds(self.scenario["offline"]), lambda: bytes(32))
        self.client = self.vault.client(bounds=bounds, metrics=self.sources, **more)
        self.clients.append(self.client)  # the old one is not closed

    def step(self, step):
        getattr(self, step["do"])(**{name: value for name, value in step.items() if name != "do"})

    def use(self, what, want="ok", source=None, within=None, state=None):
        self.sources.seen.clear()
        start = self.vault.now()
        error, result = None, None
        try:
            result = what()
        except Exception as raised:
            error = raised
            if isinstance(error, BatchError):
                error = min(error.errors.items())[1]
        assert (outcome(error) if error else "ok") == want, error
        if source:
            assert set(self.sources.seen) == {source}
        if within:
            assert self.vault.now() - start <= seconds(within)
        if state is not None:
            assert error.state == state
        return result

    def encrypt(self, key, version=None, context=None, **more):
        name = more.pop("as")
        context = context or {"row": "1"}
        message = self.use(lambda: self.client.key(key).encrypt(name.encode(), context), **more)
        if message:
            self.messages[name] = message
        if version:
            assert inspect(message).version == version

    def decrypt(self, key, of, context=None, **more):
        k, context = self.client.key(key), context or {"row": "1"}
        if len(of) == 1:
            results = self.use(lambda: [k.decrypt(self.messages[of[0]], context)], **more)
        else:
            results = self.use(lambda: k.decrypt_many([self.messages[name] for name in of], context), **more)
        if results is not None:
            assert len(results) == len(of)

    def decrypt_some(self, key, of, want):
        with pytest.raises(BatchError) as caught:
            self.client.key(key).decrypt_many([self.messages[name] for name in of], {"row": "1"})
        errors = caught.value.errors
        assert [outcome(errors[index]) if index in errors else "ok" for index in range(len(of))] == want
        assert [result is None for result in caught.value.results] == [outcome != "ok" for outcome in want]

    def rewrap(self, key, of, **more):
        for name, message in zip(more["as"], self.client.key(key).rewrap([self.messages[name] for name in of])):
            self.messages[name] = message

    def inspect(self, of, version):
        assert inspect(self.messages[of]).version == version

    def version(self, key, **more):
        assert self.client.key(key).version() == more["is"]

    def refresh(self, key):
        self.client.key(key).refresh()

    def same_data_key(self, of):
        assert len({parse(self.messages[name]).header.edk for name in of}) == 1

    def other_data_key(self, of):
        assert len({parse(self.messages[name]).header.edk for name in of}) == len(of)

    def asked(self, requests):
        assert {op: self.vault.requests[op] for op in requests} == requests
        self.renewals += self.vault.requests["renew"]
        self.vault.requests.clear()

    def renewed(self, at_least):
        assert self.renewals + self.vault.requests["renew"] >= at_least

    def advance(self, by):
        self.vault.advance(seconds(by))

    def put_clock_back(self, by):
        self.vault.put_clock_back(seconds(by))

    def vault_is(self, what):
        self.vault.set_outage("none" if what == "up" else what)

    def rotate(self, key):
        self.vault.rotate(key)

    def state(self, key, version, **more):
        self.vault.set_state(key, version, more["is"])

    def deny(self, key, op):
        self.vault.deny(key, op)

    def allow(self, key, op):
        self.vault.allow(key, op)

    def revoke_tokens(self):
        self.vault.revoke_tokens()

    def logins(self, are):
        self.vault.refuse_logins(are == "refused")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_scenario(scenario, tmp_path):
    run = Run(scenario, tmp_path)
    for number, step in enumerate(scenario["steps"]):
        try:
            if step["do"] == "vault":
                run.vault_is(step["is"])
            else:
                run.step(step)
        except AssertionError as error:
            raise AssertionError(f"step {number}: {step}: {error}") from error
        run.vault.advance(0)  # what is due at once is done
