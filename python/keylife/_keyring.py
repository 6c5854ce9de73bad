# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The data keys of one key: which are in memory, which may be used, and when the engine is asked.

A use whose proof is fresh takes no lock of this module. Everything else is decided in to_encrypt and to_decrypt for uses,
and in run for the background; both ask by the same two methods, each of which sends one request at a time.
"""

import copy
import math
import threading
from itertools import islice
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from ._backoff import Backoff
from ._engine import MAX_BATCH, Made
from ._envelope import DataKey
from ._held import Opening, Protecting
from ._http import ATTEMPT
from ._metrics import ENGINE, LOCAL, STALE, KeyStats
from ._openings import Opened, Openings, Want
from ._surroundings import Surroundings
from ._world import Moment
from .errors import AccessDenied, ClientClosed, KeylifeError, Unavailable

_PATIENCE = 1.0  # seconds that a use waits for Vault if it can do without


class Keyring:
    def __init__(self, name: str, around: Surroundings) -> None:
        self.name = name
        self._around = around
        self._monotonic, self._wall = around.world.monotonic, around.world.wall
        self._protecting: Optional[Protecting] = None
        self.openings = Openings(around.bounds, around.retain, self._jitter)
        self.reset()

    def reset(self) -> None:
        """Begins with new locks and no data key that encrypts: a process that was forked has counts of its own."""
        world = self._around.world
        self._protecting = None
        self.openings.reset()
        self._lock = threading.RLock()  # never held over a request
        self._make_turn, self._open_turn = threading.Lock(), threading.Lock()  # held by the use that sends a request
        self._make_backoff, self._open_backoff = Backoff(world), Backoff(world)
        self._rewrap_backoff = Backoff(world)
        self._made = 0  # answers, or none, to requests for a data key
        self._refusal: Optional[KeylifeError] = None  # the last of them, if that was one
        self._wanted: Dict[str, Want] = {}

    @property
    def protecting(self) -> Optional[Protecting]:
        return self._protecting

    def restore(self, protecting: Protecting) -> None:
        """Takes a data key of the sealed file, unless one is there."""
        with self._lock:
            self._protecting = self._protecting or protecting

    # Encrypting.

    def to_encrypt(self, size: int) -> Tuple[Protecting, str]:
        """The data key that encrypts a message of this size, which is counted, and what it was answered by."""
        protecting = self._protecting
        if protecting is not None and protecting.use(size, self._monotonic(), self._wall()):
            return protecting, LOCAL
        return self._to_encrypt(size)

    def warm_to_encrypt(self) -> bool:
        """Whether encrypting asks nobody."""
        protecting = self._protecting
        return protecting is not None and protecting.current(self._around.world.now()) and not protecting.near_limit()

    def _to_encrypt(self, size: int) -> Tuple[Protecting, str]:
        if size > self._around.bounds.max_bytes:
            raise ValueError(f"plaintext: {size} bytes, bounds.max_bytes is {self._around.bounds.max_bytes}")
        source, until = LOCAL, self._until()
        while True:
            now = self._now()
            protecting = self._protecting
            if protecting is not None and protecting.current(now) and protecting.use_to_the_limit(size):
                if protecting.near_limit():
                    self._ask_later([protecting], now)
                return protecting, source
            if now.mono >= until:
                raise Unavailable("vault is unavailable: no data key in time")
            fallback = protecting is not None and protecting.stale(now) and protecting.has_room(size)
            try:
                self._make_backoff.check(now)
                self._make(min(until, now.mono + _PATIENCE) if fallback else until)
                source = ENGINE
            except Unavailable as error:
                protecting = self._protecting  # of the sealed file, perhaps
                if protecting is not None and protecting.stale(now) and protecting.use_to_the_limit(size):
                    self._ask_later([protecting], now)
                    return protecting, LOCAL if protecting.fresh(now) else STALE
                if not self._make_backoff.sleep(until):
                    raise error

    def _ask_later(self, proved: Sequence[Union[Protecting, Opening]], now: Moment) -> None:
        """Has the background ask, which leaves Vault more time than a use that can do without."""
        asked = [one for one in proved if one.due > now.mono]
        for one in asked:
            one.due = now.mono
        if asked:
            self.openings.plan()
            self._around.background.wake()

    def _make(self, until: float) -> None:
        """Asks for a data key, or waits for the answer that another use asked for."""
        seen = self._made
        if not self._around.world.acquire(self._make_turn, until - self._monotonic()):
            raise Unavailable("vault is unavailable: no answer in time")
        try:
            if self._made == seen:
                self._refusal = self._request_data_key(until)
                self._made += 1
            refusal = self._refusal
        finally:
            self._make_turn.release()
        if refusal is not None:
            raise copy.copy(refusal)

    def _request_data_key(self, until: float) -> Optional[KeylifeError]:
        started = self._now()
        try:
            made = self._around.engine.make(self.name, until)
        except Unavailable as error:
            self._make_backoff.failed(error, started.mono, until)
            self._around.background.wake()
            return error
        except KeylifeError as error:
            self._make_backoff.succeeded()
            self._refused(error)
            return error
        self._make_backoff.succeeded()
        self._take(made, started)
        return None

    def _refused(self, error: KeylifeError) -> None:
        """Without the right nothing of the key stays; by the state of the key the one goes that encrypts."""
        protecting = self._protecting
        if isinstance(error, AccessDenied):
            self.clear()
        elif protecting is not None:
            self.drop(protecting.data_key.edk)

    def _take(self, made: Made, started: Moment) -> None:
        """An answer of the version that encrypts is its proof, and no data key is added. Another one, or a worn one, is replaced."""
        bounds, now = self._around.bounds, self._around.world.now()
        with self._lock:
            protecting = self._protecting
            if protecting is None or protecting.data_key.version != made.version or protecting.worn(now):
                data_key = DataKey(self.name, made.edk, made.key)
                protecting = Protecting(data_key, started, bounds)
                self._add(data_key, started)
            protecting.prove(started, self._jitter())
            self._protecting = protecting
        self._around.proved()

    # Opening messages.

    def use(self, opening: Opening) -> bool:
        """Whether a data key may be used without a request. If so, the use is taken note of."""
        return opening.use(self._monotonic(), self._wall())

    def warm_to_open(self, edk: str) -> bool:
        """Whether opening asks nobody."""
        opening = self.openings.get(edk)
        return opening is not None and opening.fresh(self._around.world.now())

    def to_open(self, edks: Sequence[str]) -> Dict[str, Tuple[Opened, str]]:
        """The data keys that these are, or why not, and what each was answered by. Unknown ones are one request."""
        found: Dict[str, Tuple[Opened, str]] = {}
        left, source, until = list(dict.fromkeys(edks)), LOCAL, self._until()
        while left:
            now = self._now()
            for edk in left:
                opening = self.openings.get(edk)
                if opening is not None and opening.use(now.mono, now.wall):
                    found[edk] = opening, source
            left = [edk for edk in left if edk not in found]
            error = self._to_open(left, now, until, found)
            left = [edk for edk in left if edk not in found]
            source = ENGINE
            if left and error is not None and not self._open_backoff.sleep(until):
                found.update((edk, (error, ENGINE)) for edk in left)
        return found

    def _to_open(self, edks: List[str], now: Moment, until: float, found: Dict[str, Tuple[Opened, str]]) -> Optional[KeylifeError]:
        """Asks what these are. Where Vault does not answer, those are found whose proof is not too old, and the outage is returned."""
        if not edks:
            return None
        try:
            self._open_backoff.check(now)
            patient = len(self.openings.stale(edks, now)) < len(edks)
            answers = self._open(edks, until if patient else min(until, now.mono + _PATIENCE))
        except Unavailable as error:
            stale = self.openings.stale(edks, now)  # of the sealed file, perhaps
            for edk, opening in stale.items():
                opening.used, opening.last = True, now.mono
                found[edk] = opening, STALE
            self._ask_later(list(stale.values()), now)
            return error
        found.update((edk, (answer, ENGINE)) for edk, answer in answers.items())
        return None

    def _open(self, edks: Sequence[str], until: float) -> Dict[str, Opened]:
        """Asks what these are. What comes while a request is under way is asked for in the next one, together."""
        wants = {edk: Want() for edk in edks}
        while self._want(wants):
            if not self._around.world.acquire(self._open_turn, until - self._monotonic()):
                raise Unavailable("vault is unavailable: no answer in time")
            try:
                if self._want(wants):
                    self._request_batch(until)
            finally:
                self._open_turn.release()
        answers = {edk: want.answer for edk, want in wants.items() if want.answer is not None}
        for answer in answers.values():
            if isinstance(answer, Unavailable):
                raise copy.copy(answer)
        return answers

    def _want(self, wants: Dict[str, Want]) -> bool:
        """Puts into the next batch what was not answered, unless another use did. False: all was answered."""
        with self._lock:
            unanswered = [edk for edk, want in wants.items() if want.answer is None]
            for edk in unanswered:
                wants[edk] = self._wanted.setdefault(edk, wants[edk])
        return bool(unanswered)

    def _request_batch(self, until: float) -> None:
        with self._lock:
            batch = list(islice(self._wanted, MAX_BATCH))
        started = self._now()
        answers: Sequence[Union[bytes, KeylifeError]]
        try:
            answers = self._around.engine.open(self.name, batch, until)
            self._open_backoff.succeeded()
        except Unavailable as error:
            self._open_backoff.failed(error, started.mono, until)
            with self._lock:
                batch = list(self._wanted)  # none of the others would fare better
            answers = [error] * len(batch)
        except KeylifeError as error:
            self._open_backoff.succeeded()
            if isinstance(error, AccessDenied):
                self._forget_openings()
            answers = [error] * len(batch)
        with self._lock:
            for edk, answer in zip(batch, answers):
                self._wanted.pop(edk).answer = self._opened(edk, answer, started)
        self._around.background.wake()

    def _opened(self, edk: str, answer: Union[bytes, KeylifeError], started: Moment) -> Opened:
        if isinstance(answer, Unavailable):
            return answer
        if isinstance(answer, KeylifeError):
            self.drop(edk)
            return answer
        return self._add(DataKey(self.name, edk, answer), started)

    def _add(self, data_key: DataKey, proof: Moment) -> Opening:
        with self._lock:
            if self._around.closed:
                raise ClientClosed
            opening = self.openings.add(data_key, proof)
        self._around.evict()
        self._around.proved()
        return opening

    # What the owner may ask for.

    def version(self) -> int:
        """The version that encrypts."""
        protecting = self._protecting
        if protecting is None or not protecting.current(self._around.world.now()):
            protecting, _ = self._to_encrypt(0)
        return protecting.data_key.version

    def refresh(self) -> None:
        """Asks now for what would be asked for in time. A process that only reads is not asked to encrypt."""
        until = self._until()
        self._now()
        if self._protecting is not None or not len(self.openings):
            self._make(until)
        used = self.openings.used()
        if used:
            self._open(used, until)

    def rewrap(self, edks: Sequence[str]) -> Dict[str, Union[str, KeylifeError]]:
        """These under the newest version. It needs no data key and keeps none."""
        unique = list(dict.fromkeys(edks))
        results: Dict[str, Union[str, KeylifeError]] = {}
        for start in range(0, len(unique), MAX_BATCH):
            batch = unique[start : start + MAX_BATCH]
            results.update(zip(batch, self._rewrap(batch, self._until())))
        return results

    def _rewrap(self, batch: List[str], until: float) -> Sequence[Union[str, KeylifeError]]:
        backoff = self._rewrap_backoff
        while True:
            now = self._now()
            try:
                backoff.check(now)
                answers = self._around.engine.rewrap(self.name, batch, until)
                backoff.succeeded()
                return answers
            except Unavailable as error:
                if backoff.due <= now.mono:
                    backoff.failed(error, now.mono, until)
                if not backoff.sleep(until):
                    return [error] * len(batch)
            except KeylifeError as error:
                backoff.succeeded()
                return [error] * len(batch)

    def stats(self) -> KeyStats:
        protecting, openings, now = self._protecting, self.openings.all(), self._around.world.now()
        version = protecting.data_key.version if protecting is not None else 0
        return KeyStats(self.name, version, len(openings), max((opening.proof.age(now) for opening in openings), default=0.0))

    # In the background.

    def due(self) -> float:
        return min(self._protecting_due(), self._opening_due())

    def run(self) -> None:
        now = self._around.world.now()
        try:
            if self._protecting_due() <= now.mono:
                self._renew_protecting(now)
            if self._opening_due() <= now.mono:
                self._renew_opening(now)
        except KeylifeError:
            pass  # a refusal dropped what it is about, and an outage is tried again; the next use is told

    def _protecting_due(self) -> float:
        protecting = self._protecting
        return math.inf if protecting is None else max(protecting.due, self._make_backoff.patient_due)

    def _opening_due(self) -> float:
        return max(self.openings.next_proof, self._open_backoff.patient_due)

    def _renew_protecting(self, now: Moment) -> None:
        protecting = self._protecting
        if protecting is None:
            return
        if protecting.used and protecting.stale(now):
            self._make(now.mono + 2 * ATTEMPT)
        else:
            protecting.due = math.inf

    def _renew_opening(self, now: Moment) -> None:
        used = self.openings.sweep(now)
        try:
            if used:
                self._open(used, now.mono + 2 * ATTEMPT)
        finally:
            self.openings.plan()

    # Dropping.

    def drop(self, edk: str) -> None:
        """A data key is not used any more, to encrypt neither."""
        with self._lock:
            protecting = self._protecting
            if protecting is not None and protecting.data_key.edk == edk:
                self._protecting = None
            self.openings.drop(edk)
        self._around.dropped()

    def clear(self) -> None:
        with self._lock:
            self._protecting = None
            self._forget_openings()

    def _forget_openings(self) -> None:
        """Without the right to decrypt nothing opens. What encrypts is another right."""
        self.openings.clear()
        self._around.dropped()

    # Time.

    def _now(self) -> Moment:
        if self._around.closed:
            raise ClientClosed
        return self._around.world.now()

    def _until(self) -> float:
        return self._monotonic() + self._around.timeout

    def _jitter(self) -> float:
        return 0.9 + 0.2 * self._around.world.random()
