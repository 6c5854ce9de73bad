# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The data keys of one key that open messages. Nothing here asks the engine."""

import math
import threading
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from ._envelope import DataKey
from ._held import Opening
from ._world import Moment
from .bounds import Bounds
from .errors import KeylifeError

_SLACK = 0.01  # of a TTL: proofs that are due so soon are renewed together

Opened = Union[Opening, KeylifeError]


class Want:
    """An encrypted data key that is asked for, by one or more uses."""

    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer: Optional[Opened] = None


class Openings:
    """Reading takes no lock: to read a dict is one step, with the interpreter's lock and without it."""

    def __init__(self, bounds: Bounds, retain: float, jitter: Callable[[], float]) -> None:
        self._bounds = bounds
        self._retain = retain  # seconds after its proof that a data key stays for the sealed file
        self._jitter = jitter
        self._by_edk: Dict[str, Opening] = {}
        self.by_head: Dict[bytes, Opening] = {}  # the same by the head of their messages
        self.next_proof = math.inf  # when the first of them is due
        self.reset()

    def reset(self) -> None:
        """Begins with a new lock."""
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._by_edk)

    def get(self, edk: str) -> Optional[Opening]:
        return self._by_edk.get(edk)

    def all(self) -> List[Opening]:
        return list(self._by_edk.values())

    def add(self, data_key: DataKey, proof: Moment) -> Opening:
        """Takes a data key, or the proof of one that is there."""
        with self._lock:
            opening = self._by_edk.get(data_key.edk)
            if opening is None:
                opening = Opening(data_key)
            self.prove(opening, proof)
            self._by_edk[data_key.edk] = opening
            self.by_head[data_key.head] = opening
            return opening

    def prove(self, opening: Opening, proof: Moment) -> None:
        opening.prove(proof, self._bounds, self._jitter())
        self.next_proof = min(self.next_proof, opening.due)

    def drop(self, edk: str) -> None:
        with self._lock:
            opening = self._by_edk.pop(edk, None)
            if opening is not None:
                self.by_head.pop(opening.data_key.head, None)

    def clear(self) -> None:
        with self._lock:
            self._by_edk.clear()
            self.by_head.clear()

    def stale(self, edks: Sequence[str], now: Moment) -> Dict[str, Opening]:
        """Those of them that may open messages while Vault does not answer."""
        found = ((edk, self.get(edk)) for edk in edks)
        return {edk: opening for edk, opening in found if opening is not None and opening.stale(now)}

    def used(self) -> List[str]:
        """Which were used since their proof."""
        return [opening.data_key.edk for opening in self.all() if opening.used]

    def uses(self) -> List[Tuple[float, str]]:
        """When each was used last."""
        return [(opening.last, opening.data_key.edk) for opening in self.all()]

    def sweep(self, now: Moment) -> List[str]:
        """Drops what may not be used any more. Gives what is to be proved, if the time for some of it has come."""
        ttl = self._bounds.ttl
        due, used = False, []
        for opening in self.all():
            if opening.proof.age(now) >= max(opening.keep, self._retain):
                self.drop(opening.data_key.edk)
                continue
            wanted = opening.used and opening.stale(now)
            its_time = opening.due <= now.mono + _SLACK * ttl
            due = due or (wanted and its_time)
            if wanted and (its_time or opening.proof.age(now) >= ttl / 2):
                used.append(opening.data_key.edk)
            elif its_time:
                opening.due = opening.proof.mono + max(opening.keep, self._retain)  # when it is dropped
        return used if due else []

    def plan(self) -> None:
        """Finds out anew when the first is due."""
        self.next_proof = min((opening.due for opening in self.all()), default=math.inf)
