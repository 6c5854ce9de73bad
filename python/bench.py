# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Measures what this package costs beside a Vault that encrypts each value, as client/internal/bench does in Go.

scripts/bench_clients.sh starts the Vault and runs it. It prints one JSON object.
"""

import argparse
import base64
import gc
import io
import json
import os
import platform
import resource
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import cryptography
import hvac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import keylife
from keylife._envelope import DataKey

MOUNT, KEY = "transit", "bench"
ROUNDS = 7
FIELD_SIZE = 64
LOCAL_OPS, VAULT_OPS = 30_000, 1_000
PEAK_PIECES = 10 << 10  # of a stream of 10 GiB
PIECE, PIECES, HELD_PIECES = 1 << 20, 1 << 10, 64
DATA_KEYS, BATCH = 10_000, 250
CONTEXT = {"table": "cards", "row": "17"}
TICKS = os.sysconf("SC_CLK_TCK")


class Step(NamedTuple):
    """One of several things that are compared."""

    name: str
    ops: int  # in a round
    do: Callable[[], object]


def cpu(server: int) -> float:
    """CPU seconds of this process, and of the server with all below it."""
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent, used = parse_stat(stat.read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        parents[pid], ticks[pid] = parent, used
    if server not in ticks:
        sys.exit(f"process {server} is not there")
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + sum(used for pid, used in ticks.items() if below(parents, pid, server)) / TICKS


def parse_stat(stat: str) -> Tuple[int, int, int]:
    """Fields 1, 4, and 14 to 17 of proc(5). The second one may hold spaces and parentheses."""
    fields = stat[stat.rindex(")") + 1 :].split()
    return int(stat.split(" ", 1)[0]), int(fields[1]), sum(map(int, fields[11:15]))


def below(parents: Dict[int, int], pid: int, root: int) -> bool:
    while pid > 1:
        if pid == root:
            return True
        pid = parents.get(pid, 0)
    return False


def in_turns(server: int, *steps: Step) -> Dict[str, List[float]]:
    """A round of each step, again and again: CPU seconds of one op, by round. The first round warms up and does not count."""
    used: Dict[str, List[float]] = {step.name: [] for step in steps}
    for number in range(ROUNDS + 1):
        for step in steps:
            begin = cpu(server)
            for _ in range(step.ops):
                step.do()
            if number:
                used[step.name].append((cpu(server) - begin) / step.ops)
    return used


def median(values: List[float]) -> float:
    return sorted(values)[len(values) // 2]


def ratio(dear: List[float], cheap: List[float]) -> float:
    """The median of what one costs as a multiple of the other, round by round."""
    return median([one / other for one, other in zip(dear, cheap)])


def open_client() -> keylife.Client:
    return keylife.Client(mount=MOUNT)  # address and token from the environment


def fields(server: int) -> Dict[str, float]:
    """Values that are encrypted here beside values that Vault's Transit encrypts."""
    transit = hvac.Client().secrets.transit
    plaintext = bytes(FIELD_SIZE)

    def remote_encrypt() -> str:
        answer = transit.encrypt_data(KEY, plaintext=base64.b64encode(plaintext).decode(), mount_point=MOUNT)
        return str(answer["data"]["ciphertext"])

    ciphertext = remote_encrypt()

    def remote_decrypt() -> None:
        answer = transit.decrypt_data(KEY, ciphertext=ciphertext, mount_point=MOUNT)
        assert base64.b64decode(answer["data"]["plaintext"]) == plaintext

    with open_client() as client:
        key = client.key(KEY)
        message = key.encrypt(plaintext, CONTEXT)
        used = in_turns(
            server,
            Step("encrypt_local", LOCAL_OPS, lambda: key.encrypt(plaintext, CONTEXT)),
            Step("encrypt_vault", VAULT_OPS, remote_encrypt),
            Step("decrypt_local", LOCAL_OPS, lambda: key.decrypt(message, CONTEXT)),
            Step("decrypt_vault", VAULT_OPS, remote_decrypt),
        )
    results = {f"{name}_us": median(values) * 1e6 for name, values in used.items()}
    for op in ("encrypt", "decrypt"):
        results[f"{op}_ratio"] = ratio(used[f"{op}_vault"], used[f"{op}_local"])
    return results


def streams(server: int) -> Dict[str, float]:
    """Streams beside AES-256-GCM of the same size in pieces of 1 MiB."""
    aead, nonce, plaintext = AESGCM(bytes(32)), bytes(12), bytes(PIECE)
    sealed = [aead.encrypt(nonce, plaintext, None) for _ in range(HELD_PIECES)]  # as much memory as the streams read

    def raw_encrypt() -> None:
        for _ in range(PIECES):
            aead.encrypt(nonce, plaintext, None)

    def raw_decrypt() -> None:
        for number in range(PIECES):
            aead.decrypt(nonce, sealed[number % HELD_PIECES], None)

    with open_client() as client, open(os.devnull, "wb") as nowhere:
        key = client.key(KEY)

        def encrypt(target: Any, count: int) -> None:
            with key.open(target, "wb", CONTEXT) as stream:
                for _ in range(count):
                    stream.write(plaintext)

        message = io.BytesIO()
        encrypt(message, HELD_PIECES)

        def decrypt() -> None:
            for _ in range(PIECES // HELD_PIECES):
                message.seek(0)
                with key.open(message, "rb", CONTEXT) as stream:
                    assert read_all(stream) == HELD_PIECES << 20

        used = in_turns(
            server,
            Step("raw_encrypt", 1, raw_encrypt),
            Step("stream_encrypt", 1, lambda: encrypt(nowhere, PIECES)),
            Step("raw_decrypt", 1, raw_decrypt),
            Step("stream_decrypt", 1, decrypt),
        )
    results = {}
    for op in ("encrypt", "decrypt"):
        for what in ("raw", "stream"):
            results[f"{what}_{op}_mib_per_s"] = PIECES / median(used[f"{what}_{op}"])
        results[f"stream_{op}_ratio"] = ratio(used[f"raw_{op}"], used[f"stream_{op}"])
    return results


def read_all(stream: Any) -> int:
    buffer, size = bytearray(PIECE), 0
    while True:
        count = stream.readinto(buffer)
        if not count:
            return size
        size += count


def print_peak() -> None:
    """Encrypts 10 GiB and decrypts it at the same time, in a process that does nothing else."""
    source, target = os.pipe()
    with open_client() as client:
        key = client.key(KEY)

        def write() -> None:
            with open(target, "wb") as file, key.open(file, "wb") as stream:
                for _ in range(PEAK_PIECES):
                    stream.write(bytes(PIECE))

        writer = threading.Thread(target=write)
        writer.start()
        with open(source, "rb") as file, key.open(file, "rb") as stream:
            assert read_all(stream) == PEAK_PIECES << 20
        writer.join()
    # That of getrusage is also that of the program that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def memory() -> Dict[str, float]:
    """How much 10,000 data keys take, and a stream."""
    messages = many_messages()
    with open_client() as client:
        key = client.key(KEY)
        key.encrypt(b"", CONTEXT)  # what the first use makes is no data key
        tracemalloc.start()
        key.decrypt_many(messages[: DATA_KEYS - 1])
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (stats,) = client.stats()
        if stats.data_keys != DATA_KEYS:
            sys.exit(f"{stats.data_keys} data keys in memory, want {DATA_KEYS}")
    peak = subprocess.run([sys.executable, __file__, "--peak"], check=True, capture_output=True, text=True)
    return {"data_keys": DATA_KEYS, "data_keys_mib": size / (1 << 20), "stream_peak_mib": float(peak.stdout)}


def many_messages() -> List[bytes]:
    """As many messages, each with a data key of its own. Transit encrypts the data keys, which is what it does where it makes them."""
    vault = hvac.Client()
    messages: List[bytes] = []
    while len(messages) < DATA_KEYS:
        keys = [os.urandom(32) for _ in range(BATCH)]
        items = [{"plaintext": base64.b64encode(key).decode()} for key in keys]
        answer = vault.adapter.post(f"v1/{MOUNT}/encrypt/{KEY}", json={"batch_input": items})
        edks = [result["ciphertext"] for result in answer["data"]["batch_results"]]
        messages += [DataKey(KEY, edk, key).seal(b"") for edk, key in zip(edks, keys)]
    return messages


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures package keylife. scripts/bench_clients.sh runs it.")
    parser.add_argument("--server", type=int, help="process id of Vault")
    parser.add_argument("--peak", action="store_true", help="put a stream through and print the peak of memory in MiB; nothing else")
    arguments = parser.parse_args()
    if arguments.peak:
        print_peak()
        return
    versions = f"Python {platform.python_version()}, cryptography {cryptography.__version__}"
    results: Dict[str, Any] = {"version": versions}
    results.update(fields(arguments.server))
    results.update(streams(arguments.server))
    results.update(memory())
    print(json.dumps(results))


if __name__ == "__main__":
    main()
