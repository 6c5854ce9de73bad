# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The application of ../worker in Python: a Flask program for gunicorn, which may load it before it forks."""

import json
import os
import threading
from collections import Counter
from typing import Callable, Tuple, Union

from flask import Flask, Response, request

from keylife import AccessDenied, Bounds, Client, InvalidMessage, KeyStateError, Unavailable
from keylife.auth import AppRole, Cert

BINDING = {"application": "worker"}
STATUSES = ((Unavailable, 503), (AccessDenied, 403), (KeyStateError, 409), (InvalidMessage, 422), (ValueError, 400), (TypeError, 400))

Answer = Union[bytes, str, Response, Tuple[str, int]]


class Report:
    """Counts what the client said of itself."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.operations: "Counter[str]" = Counter()
        self.requests: "Counter[str]" = Counter()

    def operation(self, key: str, op: str, source: str, outcome: str) -> None:
        with self.lock:
            self.operations[f"{op} {source} {outcome}"] += 1

    def request(self, key: str, op: str) -> Callable[[str], None]:
        def ended(outcome: str) -> None:
            with self.lock:
                self.requests[f"{op} {outcome}"] += 1

        return ended


settings = json.loads(os.environ["KEYLIFE_WORKER"])
report = Report()


def auth() -> Union[AppRole, Cert, None]:
    if settings["certificate"]:
        return Cert(settings["certificate"])
    if settings["role_id"]:
        return AppRole(settings["role_id"], secret_id=settings["secret_id"])
    return None


def certificate() -> Union[Tuple[str, str], None]:
    if not settings["certificate"]:
        return None
    return os.environ["VAULT_CLIENT_CERT"], os.environ["VAULT_CLIENT_KEY"]


bounds = Bounds(**settings["bounds"])
client = Client(auth=auth(), cert=certificate(), mount=settings["mount"], bounds=bounds, consumer="worker", timeout=settings["timeout"], metrics=report)
if settings["warm"]:
    client.key(settings["warm"]).encrypt(b"", BINDING)
app = Flask(__name__)


@app.post("/<key>/encrypt")
def encrypt(key: str) -> Answer:
    return client.key(key).encrypt_text(request.get_data(), BINDING)


@app.post("/<key>/decrypt")
def decrypt(key: str) -> Answer:
    return Response(client.key(key).decrypt(request.get_data(as_text=True), BINDING), mimetype="application/octet-stream")


@app.get("/report")
def show() -> Answer:
    with report.lock:
        return Response(json.dumps({"operations": report.operations, "requests": report.requests}), mimetype="application/json")


@app.errorhandler(Exception)
def failed(error: Exception) -> Answer:
    return f"{type(error).__name__}: {error}", next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
