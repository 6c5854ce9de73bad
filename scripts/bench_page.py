# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Writes what scripts/bench_clients.sh measured into docs/performance.md, between its two markers.

    bench_page.py FOLDER PAGE

FOLDER holds go.json, python.json, and in vault what that says of its version.
"""

import json
import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

BEGIN, END = "<!-- measured: make bench-clients -->", "<!-- end of what was measured -->"

Results = Dict[str, float]


class Row(NamedTuple):
    """A line of the table: what, how it is told, and of each language the least or the most that is wanted."""

    what: str
    tell: Callable[[Results], Optional[str]]
    value: str = ""
    go: Optional[float] = None
    python: Optional[float] = None
    least: bool = True
    unit: str = "×"


def two(one: str, other: str, unit: str) -> Callable[[Results], str]:
    return lambda results: f"{digits(results[one])} {unit} against {digits(results[other])} {unit}"


def one(name: str, unit: str = "") -> Callable[[Results], Optional[str]]:
    return lambda results: f"{digits(results[name])} {unit}".strip() if name in results else None


def times(name: str) -> Callable[[Results], str]:
    return lambda results: f"**{digits(results[name])} ×**"


def ratio_if_measured(name: str) -> Callable[[Results], Optional[str]]:
    return lambda results: times(name)(results) if name in results else None


ROWS = [
    Row("Encrypt 64 bytes, CPU: here, and by Transit", two("encrypt_local_us", "encrypt_vault_us", "µs")),
    Row("the second as a multiple of the first", times("encrypt_ratio"), "encrypt_ratio", 100, 50),
    Row("Decrypt 64 bytes, CPU: here, and by Transit", two("decrypt_local_us", "decrypt_vault_us", "µs")),
    Row("the second as a multiple of the first", times("decrypt_ratio"), "decrypt_ratio", 100, 50),
    Row("Encrypt 64 bytes here", one("encrypt_local_us", "µs"), "encrypt_local_us", 1.5, None, False, "µs"),
    Row("Allocations of that", one("encrypt_allocations"), "encrypt_allocations", 2, None, False, ""),
    Row("Allocations of a decrypt", one("decrypt_allocations"), "decrypt_allocations", 3, None, False, ""),
    Row("Encrypt 1 GiB: as a stream, and AES-256-GCM alone", two("stream_encrypt_mib_per_s", "raw_encrypt_mib_per_s", "MiB/s")),
    Row("the first as a multiple of the second", times("stream_encrypt_ratio"), "stream_encrypt_ratio", 0.8, 0.6),
    Row("Decrypt 1 GiB: as a stream, and AES-256-GCM alone", two("stream_decrypt_mib_per_s", "raw_decrypt_mib_per_s", "MiB/s")),
    Row("the first as a multiple of the second", times("stream_decrypt_ratio"), "stream_decrypt_ratio", 0.8, 0.6),
    Row("the same by reads into a buffer of 1 MiB, not by io.Copy", ratio_if_measured("stream_read_ratio")),
    Row("Peak of memory of a process that encrypts and decrypts 10 GiB", one("stream_peak_mib", "MiB"), "stream_peak_mib", 64, 64, False, "MiB"),
    Row("10,000 data keys in memory", one("data_keys_mib", "MiB"), "data_keys_mib", 16, 32, False, "MiB"),
]


def digits(value: float) -> str:
    """Three that count, and no more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def missed(language: str, results: Results) -> List[str]:
    lines = []
    for row in ROWS:
        want = row.go if language == "Go" else row.python
        if want is None or row.value not in results:
            continue
        value = results[row.value]
        if value < want if row.least else value > want:
            bound = "at least" if row.least else "at most"
            off = abs(value / want - 1)
            name = row.value.replace("_", " ")
            got, wanted = f"{digits(value)} {row.unit}".strip(), f"{bound} {digits(want)} {row.unit}".strip()
            lines.append(f"- {language}, {name}: {got}, wanted {wanted}; missed by {off:.0%}.")
    return lines


def page(go: Results, python: Results, vault: str) -> str:
    lines = ["| | Go | Python |", "|---|---|---|"]
    lines += [f"| {row.what} | {row.tell(go) or '–'} | {row.tell(python) or '–'} |" for row in ROWS]
    off = missed("Go", go) + missed("Python", python)
    lines += ["", "Targets that were missed:" if off else "No target was missed.", ""] + off
    versions = f"{go['version']}; {python['version']}; {vault.split(',')[0].strip()}"
    machine = f"{cpu_model()}, {os.cpu_count()} cores"
    lines += ["", f"Measured {date.today().isoformat()} by `make bench-clients` on {machine}. {versions}."]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def cpu_model() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "a processor without a name"


def main() -> None:
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    go, python = (json.loads((folder / name).read_text()) for name in ("go.json", "python.json"))
    text = target.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    measured = page(go, python, (folder / "vault").read_text())
    target.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}")
    print(measured)


if __name__ == "__main__":
    main()
