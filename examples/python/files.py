# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Files of any size: encrypt one, tell its version without a key, put it under the newest version, open it.

    export VAULT_ADDR=... VAULT_TOKEN=...       # may update keylife/datakey/plaintext/orders, decrypt/orders, rewrap/orders
    python3 files.py
"""

import os
import shutil
import tempfile

import keylife

CONTEXT = {"file": "dump"}  # who opens the file has to know it; another one does not open it


def main(client: keylife.Client) -> None:
    orders = client.key("orders")
    with tempfile.TemporaryDirectory() as folder:
        plain, encrypted = os.path.join(folder, "dump"), os.path.join(folder, "dump.kle")
        with open(plain, "w") as file:
            file.writelines(f"order {number}\n" for number in range(100_000))

        # The file is there once all of it is written, and not at all where the block is left by an exception.
        with open(plain, "rb") as source, orders.open(encrypted, "wb", CONTEXT) as target:
            shutil.copyfileobj(source, target)
        print(f"encrypted {os.path.getsize(plain)} bytes to {os.path.getsize(encrypted)}")

        print(f"inspected without a key: {inspect(encrypted)}")

        # After a rotation: the data key is encrypted anew, the body stays. That needs no right to decrypt.
        orders.rewrap_file(encrypted)
        print(f"rewrapped: version {inspect(encrypted).version}")

        with orders.open(encrypted, "rb", CONTEXT) as source:
            lines = sum(1 for _ in source)  # the end is told only when nothing is missing
        print(f"opened: {lines} lines")


def inspect(path: str) -> keylife.Info:
    """What a file tells is in its first bytes."""
    with open(path, "rb") as file:
        return keylife.inspect(file.read(8192))


if __name__ == "__main__":
    with keylife.Client(mount=os.environ.get("KEYLIFE_MOUNT", "keylife"), consumer="example") as client:
        main(client)
