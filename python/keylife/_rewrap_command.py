# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The command line of _rewrap: options, progress, summary and exit code, the same for manage.py and python -m keylife."""

import argparse
import sys
import time
from typing import Any, Callable, List, TextIO, Tuple, Type

from ._column import ColumnCipher
from ._rewrap import Reencrypt, Report, Rewrap, Run, Source, Work, census
from .errors import KeylifeError

DONE, LEFT, FAILED = 0, 1, 3  # 2 is argparse's
EXIT_CODES = "exit code: 0 nothing is left, 1 something is left, 2 usage, 3 Vault or the database did not let it end, 130 interrupted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--census", action="store_true", help="only count, by version; needs no Vault")
    mode.add_argument("--reencrypt", action="store_true", help="decrypt and encrypt anew: converts legacy values, and replaces data keys")
    parser.add_argument("--all", action="store_true", help="with --reencrypt: also what is under the newest version")
    parser.add_argument("--batch", type=_batch, default=500, metavar="N", help="rows of a page (500)")
    parser.add_argument("--dry-run", action="store_true", help="do all but write")


def _batch(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{value}, want 1 to 10000")
    return value


def execute(source: Source, cipher: ColumnCipher, options: Any, out: TextIO, ends: Tuple[Type[Exception], ...]) -> int:
    """Runs what the options ask for. A run that is ended early, by Vault or by one of these errors, tells what it did."""
    ends = (KeylifeError, *ends)
    run = Run(source, cipher, _work(cipher, options), options["batch"], options["dry_run"])
    try:
        if sys.stderr.isatty():
            run.progress = Progress(source.count(), sys.stderr)
        run()
    except KeyboardInterrupt:
        summarize(run.report, options, out)
        return 130
    except ends as error:
        summarize(run.report, options, out)
        sys.stderr.write(f"{cipher.where}: {error}\n")
        return FAILED
    summarize(run.report, options, out)
    return DONE if run.report.whole else LEFT


def _work(cipher: ColumnCipher, options: Any) -> Work:
    if options["census"]:
        return census
    if options["reencrypt"]:
        return Reencrypt(cipher, options["all"])
    return Rewrap(cipher)


class Progress:
    """One line on a terminal."""

    def __init__(self, total: int, err: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._err, self._clock = total, err, clock
        self._start = clock()

    def __call__(self, report: Report) -> None:
        rate = report.rows / max(self._clock() - self._start, 1e-3)
        total = max(self._total, report.rows)  # rows may be added meanwhile
        end = "\n" if report.rows == total else ""
        left = (total - report.rows) / rate
        done = f"{report.rows:,} of {total:,} rows ({100 * report.rows // total} %)"
        self._err.write(f"\r{done}, {rate:,.0f} a second, {left:,.0f} s left {end}")
        self._err.flush()


def summarize(report: Report, options: Any, out: TextIO) -> None:
    lines: List[str] = [f"{report.rows} rows{' (dry run: nothing was written)' if options['dry_run'] else ''}", "found:"]
    for form, count in sorted(report.forms.items()):
        name = " ".join(part for part in (form.kind, form.key, f"v{form.version}" if form.version else "") if part)
        lines.append(f"  {name}: {count}")
    if not options["census"]:
        lines += ["became:", *(f"  {why}: {count}" for why, count in sorted(report.outcomes.items()))]
    lines += [f"row {id}: {why}" for id, why in report.failed.items()]
    out.write("\n".join(lines) + "\n")
