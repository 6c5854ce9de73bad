#!/usr/bin/env python3
# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Encrypts and decrypts fields, by hand.

VAULT_ADDR and VAULT_TOKEN say where Vault is, KEYLIFE_MOUNT where keys are (keylife). The key orders must exist there:
vault write -f keylife/keys/orders
"""

import os
import sqlite3

from keylife import Client, InvalidMessage, inspect


def main(client: Client) -> None:
    orders = client.key("orders")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE cards (id INTEGER PRIMARY KEY, number TEXT)")

    # The row is part of the context: a message that is copied to another row does not open there.
    for row, number in ((1, "4111 1111 1111 1111"), (2, "5500 0000 0000 0004")):
        text = orders.encrypt_text(number, {"table": "cards", "row": str(row)})
        database.execute("INSERT INTO cards VALUES (?, ?)", (row, text))
    rows = database.execute("SELECT id, number FROM cards ORDER BY id").fetchall()
    print("stored:", rows[0][1][:40] + "...")
    print("is:", inspect(rows[0][1]))

    # Many at once: data keys that are not known yet are asked for in one request.
    plaintexts = orders.decrypt_many([text for _, text in rows], [{"table": "cards", "row": str(row)} for row, _ in rows])
    print("read:", [plaintext.decode() for plaintext in plaintexts])

    try:
        orders.decrypt(rows[0][1], {"table": "cards", "row": "2"})
    except InvalidMessage as error:
        print("in another row:", error)


if __name__ == "__main__":
    with Client(mount=os.environ.get("KEYLIFE_MOUNT", "keylife"), consumer="example") as client:
        main(client)
