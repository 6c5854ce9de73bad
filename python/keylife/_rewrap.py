# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Brings what a column stores under the newest version of its key, a page of rows at a time.

A row is written only where it still holds what was read, so a run may be killed anywhere, and others may write meanwhile: what
is left is found by running again. A rerun asks only for what is not under the newest version yet.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any, Callable, Counter as Counts, Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from ._column import ColumnCipher, Form, Stored, each_of, message_of
from ._frame import parse, rewrapped, to_text, version_of
from .errors import AccessDenied, KeylifeError, Unavailable


class Row(NamedTuple):
    id: Any
    stored: Stored


class Source(Protocol):
    """The rows of one column."""

    def count(self) -> int:
        """How many there are, for the progress only."""

    def page(self, after: Optional[Any], size: int) -> List[Row]:
        """The next rows whose column is not NULL, in the order of their ids."""

    def swap(self, changes: Sequence[Tuple[Row, Stored]]) -> List[bool]:
        """Writes each change where the row still holds what was read, and tells where it did. All in one transaction."""


CHANGED = "changed"
MEANWHILE = "changed or deleted by others meanwhile"
CURRENT = "under the newest version"
LEGACY = "not a message yet"
SEEN = "seen"
UNREADABLE = "unreadable"

Answer = Union[str, KeylifeError]  # to a rewrap: another encrypted data key, or what there is instead
Outcome = Union["New", str]  # what to store instead, or why nothing


class New(NamedTuple):
    stored: Stored


class Work(Protocol):
    """Decides on a page of rows."""

    def __call__(self, rows: Sequence[Row], forms: Sequence[Form]) -> List[Outcome]: ...


@dataclass
class Report:
    """What a run found, and what became of it."""

    rows: int = 0
    forms: Counts[Form] = field(default_factory=Counter)  # as they were found, without their data keys
    outcomes: Counts[str] = field(default_factory=Counter)
    failed: Dict[Any, str] = field(default_factory=dict)  # some ids of rows, and why

    @property
    def whole(self) -> bool:
        """Whether nothing is left to do."""
        return not set(self.outcomes) - {CHANGED, CURRENT, SEEN}


@dataclass
class Run:
    source: Source
    cipher: ColumnCipher
    work: Work
    batch: int = 500
    dry: bool = False
    report: Report = field(default_factory=Report)
    progress: Callable[[Report], None] = lambda report: None

    def __call__(self) -> Report:
        """Goes through all rows. What ends it early is raised; the report tells how far it came."""
        after = None
        while True:
            rows = self.source.page(after, self.batch)
            if not rows:
                return self.report
            self._page(rows)
            self.progress(self.report)
            after = rows[-1].id

    def _page(self, rows: List[Row]) -> None:
        forms = [self.cipher.form(row.stored) for row in rows]
        outcomes = self.work(rows, forms)
        new = [(row, outcome.stored) for row, outcome in zip(rows, outcomes) if isinstance(outcome, New)]
        written = iter([True] * len(new) if self.dry or not new else self.source.swap(new))
        for row, form, outcome in zip(rows, forms, outcomes):
            why = outcome if isinstance(outcome, str) else CHANGED if next(written) else MEANWHILE
            self._tell(row, form, why)

    def _tell(self, row: Row, form: Form, why: str) -> None:
        self.report.rows += 1
        self.report.forms[form._replace(edk="")] += 1
        self.report.outcomes[why] += 1
        if why not in (CHANGED, MEANWHILE, CURRENT, LEGACY, SEEN) and len(self.report.failed) < _SHOWN:
            self.report.failed[row.id] = why


_SHOWN = 20  # rows that failed
_REMEMBERED = 10_000  # data keys


def census(rows: Sequence[Row], forms: Sequence[Form]) -> List[Outcome]:
    """Counts only. It needs no key and asks nobody."""
    return [UNREADABLE if form.kind == UNREADABLE else SEEN for form in forms]


class Rewrap:
    """Puts messages under the newest version without seeing plaintext or data keys. It needs the right to rewrap and no other.

    Messages of one data key go on sharing it, since readers ask once for each. So an encrypted data key is asked for once.
    """

    def __init__(self, cipher: ColumnCipher) -> None:
        self._cipher = cipher
        self._known: "OrderedDict[str, Answer]" = OrderedDict()
        self._newest = 0  # that was seen; no right is needed to learn it so

    def __call__(self, rows: Sequence[Row], forms: Sequence[Form]) -> List[Outcome]:
        old = {form.edk: row.stored for row, form in zip(rows, forms) if form.edk and (form.version < self._newest or not self._newest)}
        answers = {edk: self._known[edk] for edk in old if self._is_known(edk)}
        answers.update(self._ask({edk: stored for edk, stored in old.items() if edk not in answers}))
        self._remember(answers)
        return [self._outcome(row, form, answers) for row, form in zip(rows, forms)]

    def _is_known(self, edk: str) -> bool:
        """Not where the key was rotated since."""
        answer = self._known.get(edk)
        return answer is not None and (not isinstance(answer, str) or (version_of(answer) or 0) >= self._newest)

    def _ask(self, messages: Dict[str, Stored]) -> Dict[str, Answer]:
        found: Dict[str, Answer] = {}
        results = each_of(lambda: self._cipher.key().rewrap(list(messages.values()))) if messages else []
        for edk, result in zip(messages, results):
            if isinstance(result, KeylifeError):
                found[edk] = _or_raise(result)
                continue
            header = parse(message_of(result)).header
            found[edk] = header.edk
            self._newest = max(self._newest, header.version)
        return found

    def _remember(self, answers: Dict[str, Answer]) -> None:
        for edk, answer in answers.items():
            self._known[edk] = answer
            self._known.move_to_end(edk)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _outcome(self, row: Row, form: Form, answers: Dict[str, Answer]) -> Outcome:
        if not form.edk:
            return UNREADABLE if form.kind == UNREADABLE else LEGACY
        answer = answers.get(form.edk)
        if isinstance(answer, KeylifeError):
            return str(answer)
        if answer is None or version_of(answer) == form.version:
            return CURRENT
        message = rewrapped(message_of(row.stored), answer)
        return New(to_text(message) if isinstance(row.stored, str) else message)


class Reencrypt:
    """Decrypts and encrypts anew: legacy values become messages, and messages get another data key. Where a version was compromised
    nothing less helps, since rewrapping leaves the data key that was seen."""

    def __init__(self, cipher: ColumnCipher, everything: bool = False) -> None:
        self._cipher = cipher
        self._all = everything  # also what is under the newest version
        self._newest = 0

    def __call__(self, rows: Sequence[Row], forms: Sequence[Form]) -> List[Outcome]:
        if not self._newest:
            self._cipher.key().refresh()  # what is encrypted from now on is under the newest version
            self._newest = self._cipher.key().version()
        outcomes: List[Outcome] = [self._why_not(form) for form in forms]
        todo = [index for index, why in enumerate(outcomes) if not why]
        for index, plaintext in zip(todo, self._cipher.read_many([rows[i].stored for i in todo])):
            outcomes[index] = self._encrypt(rows[index], plaintext)
        return outcomes

    def _why_not(self, form: Form) -> str:
        if form.kind == UNREADABLE:
            return UNREADABLE
        return CURRENT if form.edk and form.version >= self._newest and not self._all else ""

    def _encrypt(self, row: Row, plaintext: Union[bytes, KeylifeError]) -> Outcome:
        if isinstance(plaintext, KeylifeError):
            return str(_or_raise(plaintext))
        return New(self._cipher.write(plaintext, isinstance(row.stored, str)))


def _or_raise(error: KeylifeError) -> KeylifeError:
    """What is about all rows ends the run; what is about one does not."""
    if isinstance(error, (Unavailable, AccessDenied)):
        raise error
    return error
