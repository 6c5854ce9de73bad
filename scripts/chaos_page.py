# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Writes what became of seeds into docs/chaos.md, between its two markers.

    chaos_page.py ROUNDS PAGE

ROUNDS is what scripts/chaos.sh kept: a line of JSON a seed, see Round in test/chaos/round.go. Of a seed that was played more than once
the last line counts, and only lines of the build that the last line is of.
"""

import json
import os
import platform
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, Dict, List

BEGIN, END = "<!-- played: make chaos, scripts/chaos.sh page -->", "<!-- end of what was played -->"

Round = Dict[str, Any]


def main(rounds_file: str, page_file: str) -> None:
    page = Path(page_file)
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    rounds = of_last_build([json.loads(line) for line in Path(rounds_file).read_text(encoding="utf-8").splitlines()])
    page.write_text(before + BEGIN + "\n\n" + played(rounds) + "\n" + END + after, encoding="utf-8")


def of_last_build(lines: List[Round]) -> List[Round]:
    build = lines[-1]["build"]
    return list({line["seed"]: line for line in lines if line["build"] == build}.values())


def played(rounds: List[Round]) -> str:
    seeds = sorted(r["seed"] for r in rounds)
    total = {name: sum(r[name] for r in rounds) for name in ("done", "refused", "unknown")}
    minutes = sum(r["took"] for r in rounds) / 60e9
    lines = [
        f"{len(seeds)} seeds ({ranges(seeds)}) of build {rounds[-1]['build']}, on {date.today().isoformat()}, {platform.system()}, {os.cpu_count()} cores; "
        f"{minutes:.0f} minutes in all. {total['done']:,} requests were acknowledged, {total['refused']:,} refused, of {total['unknown']:,} nobody knew.",
        "",
        f"Clean: {sum(clean(r) for r in rounds)} of {len(seeds)}. {unclean(rounds)}".rstrip(),
        "",
        "| Fault | seeds | not thrown | acknowledged | unknown | healed within (median, most) | not clean |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    seeds_of: Counter[str] = Counter(kind for r in rounds for kind in set(r["faults"]))
    for kind in sorted(seeds_of):
        lines.append(row(kind, [r for r in rounds if kind in r["faults"]]))
    return "\n".join(lines) + "\n"


def row(kind: str, rounds: List[Round]) -> str:
    healed = sorted(r["healed"] / 1e9 for r in rounds)
    return (
        f"| `{kind}` | {len(rounds)} | {sum(amiss(r, kind) for r in rounds)} | {sum(r['done'] for r in rounds):,} | {sum(r['unknown'] for r in rounds):,} "
        f"| {healed[len(healed) // 2]:.1f} s, {healed[-1]:.1f} s | {sum(not clean(r) for r in rounds)} |"
    )


def clean(r: Round) -> bool:
    return not r.get("findings") and not r.get("broken")


def amiss(r: Round, kind: str) -> bool:
    """Whether a fault of a kind found nothing to be thrown at, such as a leader to step down."""
    return any(text.startswith(kind + " ") for text in r.get("amiss") or [])


def unclean(rounds: List[Round]) -> str:
    said = [f"seed {r['seed']}: {r.get('broken') or r['findings'][0]['kind']}" for r in rounds if not clean(r)]
    return "Not clean: " + "; ".join(said) + "." if said else ""


def ranges(seeds: List[int]) -> str:
    found: List[List[int]] = []
    for seed in seeds:
        if found and found[-1][1] == seed - 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
