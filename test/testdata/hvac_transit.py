# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Drives every method of hvac's Transit API against a mount and prints what each answered, a line of JSON each.

What differs with every run (ciphertexts, times, keys) is told by its form. named_transit_test.go compares two mounts.
"""

import base64
import collections
import json
import os
import re
import sys

import hvac
import requests

KEY_TYPES = ("aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "rsa-2048", "rsa-4096")
HELLO = base64.b64encode(b"hello").decode()
CONTEXT = base64.b64encode(b"tenant 17").decode()
NOTHING = "nothing"  # in place of what an error kept back, for the calls that would go on with it
PLAIN = {"name", "type", "valid", "sum", "reference", "key_version", "latest_version"}

mount = sys.argv[1]
# hvac's 30 seconds do not make an RSA key on a machine that has much else to do. Vault ends what takes too long.
transit = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"], timeout=600).secrets.transit


def form(value, name=""):
    if isinstance(value, dict):
        return {key: form(one, key) for key, one in sorted(value.items())}
    if isinstance(value, list):
        return [form(one, name) for one in value]
    if isinstance(value, str) and name not in PLAIN and value != HELLO:
        head = re.match(r"vault:v\d+:|-----BEGIN [A-Z ]+-----", value)
        return head.group() if head else "text" if value else ""
    if isinstance(value, int) and not isinstance(value, bool) and value > 1_000_000_000:
        return "time"
    return value


def call(method, *arguments, **named):
    """The data of the answer; after an error there is nothing in it."""
    try:
        answer = getattr(transit, method)(*arguments, mount_point=mount, **named)
        if isinstance(answer, dict):
            data = answer["data"]
            told = form(data)
        else:
            data, told = {}, getattr(answer, "status_code", None)
    except hvac.exceptions.VaultError as error:
        data, told = {}, {"error": type(error).__name__}
    except requests.RequestException as error:
        sys.exit(f"{method} {arguments[:1]} at {mount}/ has no answer: {error}")
    print(json.dumps({"method": method, "arguments": [a for a in arguments if len(str(a)) < 40], "answer": told}, sort_keys=True))
    return collections.defaultdict(lambda: NOTHING, data or {})


def lifecycle():
    for kind in KEY_TYPES:
        call("create_key", kind, key_type=kind, exportable=True, allow_plaintext_backup=True)
        call("read_key", kind)
        if kind != "rsa-4096":  # takes seconds, each
            call("rotate_key", kind)
            call("read_key", kind)
    call("create_key", "hidden")
    call("create_key", "derived", derived=True, convergent_encryption=True, key_type="aes256-gcm96")
    call("create_key", "nonsense", key_type="des")
    call("list_keys")
    call("read_key", "missing")


def encryption():
    for kind in ("aes256-gcm96", "chacha20-poly1305", "rsa-2048"):
        sealed = call("encrypt_data", kind, HELLO)
        call("encrypt_data", kind, HELLO, key_version=1)
        call("encrypt_data", kind, "not base64!")
        call("decrypt_data", kind, sealed["ciphertext"])
        call("rewrap_data", kind, sealed["ciphertext"])
        call("decrypt_data", kind, "vault:v9:AAAA")
        call("generate_data_key", kind, "plaintext", bits=128)
        call("generate_data_key", kind, "wrapped")
    one, other = (call("encrypt_data", "derived", HELLO, context=CONTEXT) for _ in range(2))
    print(json.dumps({"convergent": one["ciphertext"] == other["ciphertext"]}))
    call("encrypt_data", "derived", HELLO)
    call("encrypt_data", "aes256-gcm96", None, batch_input=[{"plaintext": HELLO}, {"plaintext": "!"}])
    call("encrypt_data", "made-by-use", HELLO, type="aes256-gcm96")
    call("encrypt_data", "ed25519", HELLO)


def signing():
    for kind in ("ed25519", "ecdsa-p256", "rsa-2048"):
        for more in ({}, {"hash_algorithm": "sha2-512"}, {"marshaling_algorithm": "jws"}, {"signature_algorithm": "pkcs1v15"}, {"key_version": 1}):
            signed = call("sign_data", kind, HELLO, **more)
            verify = {name: value for name, value in more.items() if name != "key_version"}
            call("verify_signed_data", kind, HELLO, signature=signed["signature"], **verify)
            call("verify_signed_data", kind, CONTEXT, signature=signed["signature"], **verify)
        call("verify_signed_data", kind, HELLO, signature="vault:v1:AAAA")
        call("sign_data", kind, HELLO, key_version=9)
    call("sign_data", "aes256-gcm96", HELLO)
    for kind in KEY_TYPES:
        for algorithm in ("sha2-224", "sha2-256", "sha2-384", "sha2-512"):
            made = call("generate_hmac", kind, HELLO, algorithm=algorithm)
            call("verify_signed_data", kind, HELLO, hmac=made["hmac"], hash_algorithm=algorithm)
    call("hash_data", HELLO)
    call("hash_data", HELLO, algorithm="sha2-512", output_format="base64")
    call("generate_random_bytes", n_bytes=16)
    call("generate_random_bytes", n_bytes=16, output_format="hex")


def keys_that_leave():
    for kind in KEY_TYPES:
        for what in ("encryption-key", "signing-key", "hmac-key"):
            call("export_key", kind, what)
            call("export_key", kind, what, version="latest")
    call("export_key", "hidden", "encryption-key")
    call("backup_key", "hidden")
    for kind in KEY_TYPES:
        kept = call("backup_key", kind)
        call("restore_key", kept["backup"], name="restored-" + kind)
        call("restore_key", kept["backup"], name="restored-" + kind)
        call("restore_key", kept["backup"], name="restored-" + kind, force=True)
        call("read_key", "restored-" + kind)


def ends():
    for _ in range(10):
        call("rotate_key", "hidden")
    call("update_key_configuration", "hidden", min_decryption_version=3, min_encryption_version=9)
    call("trim_key", "hidden", 2)
    call("delete_key", "hidden")
    call("update_key_configuration", "hidden", deletion_allowed=True)
    call("delete_key", "hidden")
    call("list_keys")


for part in (lifecycle, encryption, signing, keys_that_leave, ends):
    part()
