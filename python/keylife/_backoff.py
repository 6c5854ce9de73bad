# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""When to try again after an outage."""

import copy
import math
from typing import Optional

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

    def check(self, now: Moment) -> None:
        """Raises the outage again, if it is too early for another attempt."""
        if self.error is not None and self.due > now.mono:
            raise copy.copy(self.error)

    def failed(self, error: KeylifeError, started: float = -math.inf, until: float = math.inf) -> float:
        """Notes an outage. That a request was left no time for an answer says nothing of Vault, and puts nobody off."""
        if until - started < _ENOUGH and self._world.monotonic() >= until:
            return self.due
        longest = min(_LONGEST, _FIRST * 2.0 ** min(self._failures, 10))
        wait = max(longest * self._world.random(), getattr(error, "retry_after", 0.0))
        self._failures += 1
        self.error = error
        self.due = self._world.monotonic() + wait
        return self.due

    def succeeded(self) -> None:
        self._failures, self.error, self.due = 0, None, -math.inf

    def sleep(self, until: float) -> bool:
        """Sleeps until the next attempt. False: there is none that leaves Vault time to answer."""
        now = self._world.monotonic()
        if max(now, self.due) + _ENOUGH > until:
            return False
        if self.due > now:
            self._world.sleep(self.due - now)
        return True
