# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The data keys in memory: one that encrypts, and those that open messages. Each carries its proof: when the engine last
let it be used, which is the start of that request. Nothing here asks the engine.

Fields that the hot path reads are set one by one and without a lock. A thread that sees one of them new and another one
old takes a proof for ended that is not, or for fresh for that moment; it never sees another data key.
"""

import math
import threading

from ._envelope import DataKey
from ._world import Moment
from .bounds import Bounds

_AHEAD = 0.8  # of a proof's time, and of what a data key may do


class Opening:
    """A data key that opens messages."""

    __slots__ = ("data_key", "proof", "mono_end", "wall_end", "due", "used", "last", "keep")

    def __init__(self, data_key: DataKey) -> None:
        self.data_key = data_key
        self.last = -math.inf  # its last use, by the monotonic clock

    def prove(self, proof: Moment, bounds: Bounds, jitter: float) -> None:
        self.proof = proof
        self.keep = bounds.max_stale  # seconds after the proof that it opens messages while Vault does not answer
        self.mono_end = proof.mono + bounds.ttl
        self.wall_end = proof.wall + bounds.ttl
        self.due = proof.mono + _AHEAD * bounds.ttl * jitter  # of the next proof, if it is used until then
        self.used = False  # since the proof; the use that asked for it is none
        self.last = max(self.last, proof.mono)

    def restore(self, proof: Moment, bounds: Bounds, keep: float) -> None:
        """Takes a proof of another process, which is never fresh. It lasts so many seconds while Vault does not answer."""
        self.prove(proof, bounds, 1.0)
        self.mono_end, self.keep = -math.inf, keep

    def use(self, mono: float, wall: float) -> bool:
        """Takes note of a use, if the proof is fresh."""
        if mono >= self.mono_end or wall >= self.wall_end:
            return False
        self.used = True
        self.last = mono
        return True

    def fresh(self, now: Moment) -> bool:
        return now.mono < self.mono_end and now.wall < self.wall_end

    def stale(self, now: Moment) -> bool:
        """Whether it may open messages while Vault does not answer."""
        return self.proof.age(now) < self.keep


class Protecting:
    """The data key that encrypts, and what it did so far."""

    __slots__ = (
        *("data_key", "made", "proof", "mono_end", "wall_end", "due", "used", "messages", "bytes"),
        *("_bounds", "_restored", "_lock", "_soft_messages", "_soft_bytes"),
    )

    def __init__(self, data_key: DataKey, made: Moment, bounds: Bounds) -> None:
        self.data_key = data_key
        self.made = made
        self.messages = 0
        self.bytes = 0
        self._bounds = bounds
        # Guards the counts: += is no single step. It is one that may be entered again, by a handler of a signal for example.
        self._lock = threading.RLock()
        self._soft_messages = math.ceil(bounds.max_messages * _AHEAD)
        self._soft_bytes = int(bounds.max_bytes * _AHEAD)

    def prove(self, proof: Moment, jitter: float) -> None:
        ttl, age = self._bounds.ttl, self._bounds.data_key_age
        self.proof = proof
        self.mono_end = min(proof.mono + ttl, self.made.mono + age)
        self.wall_end = min(proof.wall + ttl, self.made.wall + age)
        self.due = proof.mono + _AHEAD * ttl * jitter
        if not self.aged(proof):
            self.due = min(self.due, self.made.mono + _AHEAD * age)
        self.used = self._restored = False

    def restore(self, proof: Moment, messages: int, size: int) -> None:
        """Takes a proof of another process, which is never fresh, and what was encrypted there."""
        self.prove(proof, 1.0)
        self.mono_end, self._restored = -math.inf, True
        self.messages, self.bytes = messages, size

    def use(self, size: int, mono: float, wall: float) -> bool:
        """Counts a message, if the proof is fresh and no limit is near."""
        if mono >= self.mono_end or wall >= self.wall_end:
            return False
        with self._lock:
            if self.messages >= self._soft_messages or self.bytes + size > self._soft_bytes:
                return False
            self.messages += 1
            self.bytes += size
        self.used = True
        return True

    def use_to_the_limit(self, size: int) -> bool:
        """Counts a message, if there is room for it."""
        with self._lock:
            if self.messages >= self._bounds.max_messages or self.bytes + size > self._bounds.max_bytes:
                return False
            self.messages += 1
            self.bytes += size
        self.used = True
        return True

    def has_room(self, size: int) -> bool:
        return self.messages < self._bounds.max_messages and self.bytes + size <= self._bounds.max_bytes

    def count(self, size: int) -> None:
        """Counts more bytes of a stream that was begun."""
        with self._lock:
            self.bytes += size
        self.used = True

    def restrict(self, messages: int, size: int) -> None:
        """Leaves at most this much room."""
        with self._lock:
            self.messages = max(self.messages, self._bounds.max_messages - messages)
            self.bytes = max(self.bytes, self._bounds.max_bytes - size)

    def fresh(self, now: Moment) -> bool:
        """Whether it was proved within a TTL."""
        return not self._restored and self.proof.age(now) < self._bounds.ttl

    def current(self, now: Moment) -> bool:
        """Whether it was proved, and is not too old to encrypt while Vault answers."""
        return self.fresh(now) and self.made.age(now) < self._bounds.data_key_age

    def stale(self, now: Moment) -> bool:
        """Whether it may encrypt while Vault does not answer."""
        return self.proof.age(now) < self._bounds.stale_protect

    def aged(self, now: Moment) -> bool:
        return self.made.age(now) >= _AHEAD * self._bounds.data_key_age

    def near_limit(self) -> bool:
        return self.messages >= self._soft_messages or self.bytes >= self._soft_bytes

    def worn(self, now: Moment) -> bool:
        """Whether the next data key is to encrypt instead."""
        return self.aged(now) or self.near_limit()
