# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What Vault may answer, and what comes of it."""

import base64
import io
import json

import pytest
import requests

from keylife import AccessDenied, AppRole, Cert, InvalidMessage, Kubernetes, KeyStateError, TokenFile, Unavailable
from keylife._envelope import DataKey
from keylife._http import Outage, _seconds
from keylife._key import parse_field
from keylife.testing import FakeVault

KEY = bytes(range(32))
AS_TEXT = base64.b64encode(KEY).decode()
EDK = "vault:v3:c2VhbGVk"
TOKEN = "hvs.the-token"
MESSAGE = DataKey("orders", EDK, KEY).seal(b"a")
TEXTS = [
    # text, and version and state, or none where the message is invalid
    ("disallowed by policy (too old): version 3 is archived [version_archived]", (3, "archived")),
    ('disallowed by policy: key "orders" is pre_x [key_pre_x]', (0, "pre_x")),
    ("invalid ciphertext of one that is [version_retired]", (3, "retired")),
    ("ciphertext or signature version is disallowed by policy (too old)", (0, "")),
    ("[version_archived] is not at the end", (0, "")),
    ("invalid ciphertext: no prefix", None),
    ("cipher: message authentication failed", None),
]


class Says(FakeVault):
    """Answers the engine's requests with one status and body, and keeps what it was asked."""

    def __init__(self, status, body, headers=None):
        super().__init__("orders")
        self.status, self.body, self.headers, self.asked = status, body, headers or {}, []
        self._tokens[TOKEN] = self._tokens[self.new_token()]
        world, http = self._world, self._world.http

        def replaced():
            session = http()
            adapter = session.get_adapter("http://")
            adapter.send = self._send
            return session

        world.http = replaced

    def _send(self, request, **_):
        self.asked.append(request)
        response = requests.Response()
        response.status_code, response.url, response.request = self.status, request.url, request
        response.headers.update(self.headers)
        response.raw = io.BytesIO(self.body.encode())
        return response

    def key(self, **arguments):
        return self.client(token=TOKEN, timeout=0.01, **arguments).key("orders")


def uses(key):
    return {
        "encrypt": lambda: key.encrypt(b"a"),
        "decrypt": lambda: key.decrypt(MESSAGE),
        "rewrap": lambda: first_error(lambda: key.rewrap([MESSAGE])),
    }


def first_error(use):
    from keylife import BatchError

    try:
        return use()
    except BatchError as error:
        raise error.errors[0]


def caught(use):
    with pytest.raises(Exception) as error:
        use()
    return error.value


STATUSES = [
    (Unavailable, (204, 302, 408, 412, 429, 472, 473, 500, 501, 502, 503, 504, 599)),
    (AccessDenied, (401, 403)),
    (KeyStateError, (400, 404, 405, 409, 410, 413, 422)),
]


@pytest.mark.parametrize("kind, status", [(kind, status) for kind, statuses in STATUSES for status in statuses])
def test_statuses_are_sorted_once(kind, status):
    for use in uses(Says(status, '{"errors":["words of Vault"]}').key()).values():
        error = caught(use)
        assert isinstance(error, kind), error
        if kind is not Unavailable:
            assert "words of Vault" in str(error) and "orders" in str(error)


@pytest.mark.parametrize("text, about", TEXTS)
@pytest.mark.parametrize("status", [200, 400])
def test_items_are_sorted_once(text, about, status):
    body = json.dumps({"data": {"batch_results": [{"plaintext": "", "error": text}]}})
    for name, use in uses(Says(status, body).key()).items():
        if name == "encrypt":
            continue
        error = caught(use)
        if about is None:
            assert isinstance(error, InvalidMessage) and str(error) == "invalid message"
        else:
            assert (error.key, error.version, error.state, error.reason) == ("orders", *about, text)


@pytest.mark.parametrize("text, state", [("it is suspended [key_suspended]", "suspended"), ("encryption key not found", "")])
def test_a_refusal_as_a_whole_names_its_state(text, state):
    for use in uses(Says(400, json.dumps({"errors": [text]})).key()).values():
        error = caught(use)
        assert (error.key, error.version, error.state, error.reason) == ("orders", 0, state, text)


def one(item):
    return '{"data":{"batch_results":[' + item + "]}}"


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "null", "[]", '"text"', "<html>", '{"data":null}', '{"data":{}}', '{"data":{"batch_results":7}}', "\xff"),
        *(one(""), one("{}"), one("7"), one('{"plaintext":"***"}'), one('{"plaintext":7}'), one('{"ciphertext":""}')),
        one(f'{{"plaintext":"{AS_TEXT}","ciphertext":"x"}},{{"plaintext":"{AS_TEXT}"}}'),
        f'{{"data":{{"ciphertext":"{EDK}"}}}}',
        f'{{"data":{{"plaintext":"{AS_TEXT}"}}}}',
        f'{{"data":{{"ciphertext":"x","plaintext":"{AS_TEXT}"}}}}',
        f'{{"data":{{"ciphertext":"{EDK}","plaintext":"AAAA"}}}}',
        f'{{"data":{{"ciphertext":"{EDK}","plaintext":"{AS_TEXT[1:]}"}}}}',
    ],
)
def test_what_cannot_be_read_is_an_outage(body):
    for use in uses(Says(200, body).key()).values():
        assert isinstance(caught(use), Unavailable)


def test_what_is_no_data_key_spoils_no_other():
    vault = FakeVault("orders")
    orders, key = vault.client().key("orders"), vault._keys["orders"]
    none = DataKey("orders", key._seal(b"not 32 bytes"), KEY).seal(b"a")
    good = DataKey("orders", key._seal(KEY), KEY).seal(b"b")
    results = orders._ring.to_open([parse_field(message).header.edk for message in (none, good)])
    (first, _), (second, _) = results.values()
    assert isinstance(first, InvalidMessage) and second.data_key.open(parse_field(good)) == b"b"


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    "body", ["{}", f"<html>{AS_TEXT}{EDK}", f'{{"data":{{"plaintext":"{AS_TEXT}","batch_results":[{{"plaintext":"{AS_TEXT}"}},{{"plaintext":"x"}}]}}}}']
)
def test_errors_hold_no_secret(status, body):
    for use in uses(Says(status, body).key()).values():
        error = caught(use)
        seen = 0
        while error is not None:
            for secret in (TOKEN, AS_TEXT, EDK, str(KEY)):
                assert secret not in f"{error} {error!r} {vars(error)}"
            error, seen = error.__context__, seen + 1
            assert seen < 10


def test_data_keys_never_print():
    data_key = DataKey("orders", EDK, KEY)
    vault = FakeVault("orders")
    made = vault.client()._core._around.engine.make("orders", vault.now() + 10)
    for shown in (repr(data_key), str(data_key), repr(made), str(made), f"{[made]}", repr(AppRole("role", "the secret"))):
        assert "redacted" in shown or shown == "AppRole(role_id='role', secret_id_file=None, mount='approle')"


def test_retry_after_is_capped():
    now = 1784289600.0
    for text, want in [("", 0), ("2", 2), ("3600", 10), ("-1", 0), ("soon", 0), ("9" * 400, 10), ("nan", 0)]:
        assert _seconds(text, now) == want, text
    assert _seconds("Fri, 17 Jul 2026 12:00:04 GMT", now) == 4
    assert _seconds("Fri, 01 Jan 1999 15:04:05 GMT", now) == 0
    vault = Says(429, "{}", {"Retry-After": "7"})
    key = vault.client(token=TOKEN, timeout=20).key("orders")
    start = vault.now()
    assert isinstance(caught(lambda: key.encrypt(b"a")), Outage)
    assert [request.method.upper() for request in vault.asked].count("POST") == 3 and vault.now() - start == 14


def test_requests_are_what_vault_wants(monkeypatch):
    vault = Says(200, json.dumps({"data": {"ciphertext": EDK, "plaintext": AS_TEXT}}))
    monkeypatch.setenv("VAULT_NAMESPACE", "ns1/")
    key = vault.key(mount="/team/kl/", consumer="billing 1.0")
    key.encrypt(b"a")
    (request,) = vault.asked
    assert request.method.upper() == "POST" and request.path_url == "/v1/team/kl/datakey/plaintext/orders"
    assert json.loads(request.body) == {"bits": 256}
    assert request.headers["User-Agent"] == "keylife-python/0.1 (billing 1.0)"
    assert request.headers["X-Vault-Token"] == TOKEN and request.headers["X-Vault-Request"] == "true"
    assert request.headers["X-Vault-Namespace"] == "ns1/"


def test_logins_send_what_is_there_at_the_time(tmp_path):
    vault = FakeVault("orders")
    asked, secret = [], tmp_path / "secret"

    def ask(method, path, body=None, token=""):
        asked.append((method, path, body, token))
        return {"auth": {"client_token": "t", "lease_duration": 60, "renewable": True}, "data": {"ttl": 60, "renewable": True}}

    for value in ("one", "two"):
        secret.write_text(value + "\n")
        for auth in (
            AppRole("r", "s"),
            AppRole("r"),
            AppRole("r", secret_id_file=str(secret), mount="a"),
            Kubernetes("r", str(secret)),
            Cert("c"),
            Cert(),
        ):
            assert auth.login(ask) == ("t", 60, True)
        assert TokenFile(str(secret)).login(ask) == (value, 60, True)
    assert asked[7:] == [
        ("post", "auth/approle/login", {"role_id": "r", "secret_id": "s"}, ""),
        ("post", "auth/approle/login", {"role_id": "r"}, ""),
        ("post", "auth/a/login", {"role_id": "r", "secret_id": "two"}, ""),
        ("post", "auth/kubernetes/login", {"role": "r", "jwt": "two"}, ""),
        ("post", "auth/cert/login", {"name": "c"}, ""),
        ("post", "auth/cert/login", {}, ""),
        ("get", "auth/token/lookup-self", None, "two"),
    ]
    with pytest.raises(ValueError, match="exclude"):
        AppRole("r", "s", "f")
    orders = vault.client(auth=TokenFile(str(tmp_path / "none")), timeout=1).key("orders")
    with pytest.raises(Unavailable, match="credential cannot be read"):
        orders.encrypt(b"a")
