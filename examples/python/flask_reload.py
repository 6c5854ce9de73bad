# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""A web application whose keys are replaced while it runs.

    export VAULT_ADDR=... VAULT_TOKEN=...       # may update keylife/datakey/plaintext/orders and keylife/decrypt/orders
    gunicorn --preload -w 4 'flask_reload:create_app()'

    curl -d 'a secret' localhost:8000/encrypt   # kle1....
    curl -d 'kle1....' localhost:8000/decrypt
    curl localhost:8000/version                 # {"version": 1}
    vault write -f keylife/keys/orders/rotate   # or a policy rotates it
    curl localhost:8000/version                 # within the time of a proof, 5 minutes or KEYLIFE_TTL: {"version": 2}

Fetch: the application is built before gunicorn forks, and asks for a data key then; one that gets none does not start. Verify: it
opens what it encrypted. Rotate: is not its business. Refresh: each worker asks again in time, in the
background, and encrypts under the new version from then on. What is older still opens. Nothing is restarted.
"""

import os
from typing import Any, Optional

import flask

import keylife

CONTEXT = {"table": "orders", "column": "note"}


def create_app(client: Optional[keylife.Client] = None) -> flask.Flask:
    app = flask.Flask(__name__)
    orders = (client or connect()).key(os.environ.get("KEYLIFE_KEY", "orders"))
    orders.decrypt(orders.encrypt(b"", CONTEXT), CONTEXT)  # fetch and verify

    @app.post("/encrypt")
    def encrypt() -> str:
        return orders.encrypt_text(flask.request.get_data(), CONTEXT)

    @app.post("/decrypt")
    def decrypt() -> Any:
        return orders.decrypt(flask.request.get_data(as_text=True).strip(), CONTEXT), {"Content-Type": "application/octet-stream"}

    @app.get("/version")
    def version() -> Any:
        return {"version": orders.version()}

    @app.errorhandler(keylife.InvalidMessage)
    def invalid(error: Exception) -> Any:
        return {"error": str(error)}, 400

    @app.errorhandler(keylife.KeylifeError)
    def refused(error: Exception) -> Any:
        """Vault's own words are for the log of the application, not for who asked it."""
        app.logger.error("keylife: %s", error)
        unavailable = isinstance(error, keylife.Unavailable)
        return {"error": "try again later" if unavailable else "not allowed"}, 503 if unavailable else 403

    return app


def connect() -> keylife.Client:
    ttl = float(os.environ.get("KEYLIFE_TTL", "300"))
    mount = os.environ.get("KEYLIFE_MOUNT", "keylife")
    return keylife.Client(mount=mount, consumer="flask-example", bounds=keylife.Bounds(ttl=ttl))


if __name__ == "__main__":
    create_app().run()
