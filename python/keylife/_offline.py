# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Starting while Vault cannot be reached: what of a client's data keys is kept in its sealed file, and what they may do when
they come back.
"""

import logging
import math
from typing import Dict, List, Protocol

from ._envelope import DataKey
from ._held import Protecting
from ._keyring import Keyring
from ._sealed import KeptKey, Refused, SealedFile
from ._world import Moment, World
from .bounds import Bounds

_SHARE = 16  # a restored data key encrypts a sixteenth of what one may: nobody knows what it did after the file was written
_PAUSE = 1.0  # seconds between two writes, unless a data key was dropped
_RETRY = 10.0  # seconds after a write that failed

_log = logging.getLogger("keylife")


class Keys(Protocol):
    """Those of a client."""

    def rings(self) -> List[Keyring]:
        """Of the keys that were used."""

    def ring(self, name: str) -> Keyring:
        """Of a key by its name."""


class Keeper:
    """Writes the file after what changed, in the background, and reads it once if it is asked to."""

    def __init__(self, file: SealedFile, keep: float, bounds: Bounds, world: World, keys: Keys) -> None:
        self._file = file
        self._keep = keep  # seconds after its proof that a restored data key opens messages
        self._bounds = bounds
        self._world = world
        self._keys = keys
        self._due = math.inf
        self._earliest = -math.inf  # of the next write
        self._dropped = False
        self._changed = False  # ever; what was not is no reason to write

    def changed(self) -> None:
        """A proof or a data key is new."""
        self._changed = True
        self._due = min(self._due, max(self._earliest, self._world.monotonic()))

    def dropped(self) -> None:
        """A data key was refused. The file must not bring it back."""
        self._changed = self._dropped = True
        self._due = self._world.monotonic()

    def due(self) -> float:
        return self._due

    def run(self) -> None:
        """Writes the file."""
        now = self._world.now()
        self._due, dropped, self._dropped = math.inf, self._dropped, False  # before it looks, so that what comes now counts again
        self._earliest = now.mono + _PAUSE
        try:
            self._file.save(now.wall, [kept for ring in self._keys.rings() for kept in _kept(ring, now)])
        except Exception as error:  # of the sealer too, which is the application's
            _log.warning("keylife: the sealed file was not written: %s", _told(error))
            self._again(now, dropped)

    def _again(self, now: Moment, dropped: bool) -> None:
        if dropped:
            try:
                self._file.remove()
            except OSError as error:
                self._dropped = True
                _log.warning("keylife: the sealed file was not removed: %s", _told(error))
        self._due = min(self._due, now.mono + _RETRY)

    def close(self) -> None:
        """Writes what the data keys did since."""
        if self._changed:
            self.run()

    def restore(self) -> None:
        """Takes the data keys of the file, if it is believed."""
        now = self._world.now()
        try:
            keys = self._file.load(now.wall)
            # Those that start after this one get no share that was given before.
            self._file.save(now.wall, [self._charged(key) for key in keys])
        except FileNotFoundError:
            return
        except Exception as error:
            _log.warning("keylife: the sealed file is not used: %s", _told(error))
            return
        for key in keys:
            self._take(key, now)

    def _charged(self, key: KeptKey) -> KeptKey:
        if not key.protect:
            return key
        return key._replace(messages=key.messages + self._bounds.max_messages // _SHARE, bytes=key.bytes + self._bounds.max_bytes // _SHARE)

    def _take(self, key: KeptKey, now: Moment) -> None:
        ring, data_key = self._keys.ring(key.name), DataKey(key.name, key.edk, key.key)
        process = _moment(key.process, now)
        ring.openings.add(data_key, process).restore(process, self._bounds, self._keep)
        if key.protect:
            protecting = Protecting(data_key, _moment(key.made, now), self._bounds)
            protecting.restore(_moment(key.protect, now), key.messages, key.bytes)
            protecting.restrict(self._bounds.max_messages // _SHARE, self._bounds.max_bytes // _SHARE)
            ring.restore(protecting)


def _kept(ring: Keyring, now: Moment) -> List[KeptKey]:
    """The data keys of a key as they are kept. One that encrypts is among those that open, unless it had to make room."""
    protecting = ring.protecting
    found: Dict[str, KeptKey] = {}
    for opening in ring.openings.all():
        data_key, process = opening.data_key, _unix(opening.proof, now)
        found[data_key.edk] = KeptKey(ring.name, data_key.edk, data_key.key, 0, process, 0, 0, 0)
    if protecting is not None:
        edk, proof = protecting.data_key.edk, _unix(protecting.proof, now)
        process = found[edk].process if edk in found else proof
        made, key = _unix(protecting.made, now), protecting.data_key.key
        found[edk] = KeptKey(ring.name, edk, key, proof, process, protecting.messages, protecting.bytes, made)
    return list(found.values())


def _unix(then: Moment, now: Moment) -> int:
    """A time by the wall clock as it is now, whole seconds and never later."""
    return math.floor(now.wall - then.age(now))


def _moment(unix: int, now: Moment) -> Moment:
    return Moment(now.mono - (now.wall - unix), unix)


def _told(error: Exception) -> str:
    """What may be logged. The words of an application's sealer may not."""
    return str(error) if isinstance(error, (OSError, Refused)) else type(error).__name__
