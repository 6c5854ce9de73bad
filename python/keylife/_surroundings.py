# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What the keys of a client have in common."""

from typing import Callable, Optional, Protocol

from ._engine import Engine
from ._world import Background, World
from .bounds import Bounds


class Kept(Protocol):
    """The data keys in the sealed file."""

    def changed(self) -> None:
        """A proof or a data key is new."""

    def dropped(self) -> None:
        """A data key was refused."""


class Surroundings:
    """What the keys of a client have in common."""

    def __init__(
        self, engine: Engine, bounds: Bounds, world: World, timeout: float, background: Background, evict: Callable[[], None]
    ) -> None:
        self.engine = engine
        self.bounds = bounds
        self.world = world
        self.timeout = timeout
        self.background = background
        self.evict = evict  # called when a data key was added
        self.closed = False
        self.kept: Optional[Kept] = None
        self.retain = 0.0  # seconds after its proof that a data key stays for them

    def proved(self) -> None:
        """A proof or a data key is new."""
        if self.kept is not None:
            self.kept.changed()
        self.background.wake()

    def dropped(self) -> None:
        """A data key was refused."""
        if self.kept is not None and not self.closed:
            self.kept.dropped()
            self.background.wake()
