# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""When to try again after an outage."""

import copy
import math
from typing import Optional

from ._http import ATTEMPT
from ._world import Moment, World
from .errors import KeylifeError

_FIRST = 0.1
_LONGEST = 10.0
_ENOUGH = 0.5  # seconds in which Vault has had time to answer


class Backoff:
    """Doubles from 0.1 to 10 seconds, with full jitter."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._failures = 0
        self.error: Optional[KeylifeError] = None  # of the last attempt, if that was an outage
        self.due = -math.inf  # of the next attempt, by the monotonic clock
        self.patient_due = -math.inf  # of the next that leaves Vault all the time of an attempt

    def check(self, now: Moment) -> None:
        """Raises the outage again, if it is too early for another attempt."""
        if self.error is not None and self.due > now.mono:
            raise copy.copy(self.error)

    def failed(self, error: KeylifeError, started: float = -math.inf, until: float = math.inf) -> float:
        """Notes an outage. What was cut short may be asked again at once by who has time; and what had none puts nobody off."""
        now = self._world.monotonic()
        cut = now >= until and until - started < ATTEMPT
        if cut and until - started < _ENOUGH:
            return self.due
        longest = min(_LONGEST, _FIRST * 2.0 ** min(self._failures, 10))
        wait = max(longest * self._world.random(), getattr(error, "retry_after", 0.0))
        self._failures += 1
        self.error = error
        self.due = now + wait
        self.patient_due = now if cut else self.due
        return self.due

    def succeeded(self) -> None:
        self._failures, self.error, self.due, self.patient_due = 0, None, -math.inf, -math.inf

    def sleep(self, until: float) -> bool:
        """Sleeps until the next attempt. False: there is none that leaves Vault time to answer."""
        now = self._world.monotonic()
        if max(now, self.due) + _ENOUGH > until:
            return False
        if self.due > now:
            self._world.sleep(self.due - now)
        return True
