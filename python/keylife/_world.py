# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Time, chance, sockets and threads, as a client has them. keylife.testing has others."""

import logging
import random
import threading
import time
import weakref
from typing import Any, NamedTuple, Optional, Protocol

import requests

Lock = Any  # threading.Lock is no type before Python 3.13


class Moment(NamedTuple):
    """A time by both clocks. The monotonic one stands while a machine sleeps, and the wall clock can be set."""

    mono: float
    wall: float

    def age(self, now: "Moment") -> float:
        """How long ago it was, by the clock that says longer ago."""
        return max(now.mono - self.mono, now.wall - self.wall)


class Task(Protocol):
    """What runs in the background."""

    def due(self) -> float:
        """When it wants to run, by the monotonic clock."""

    def run(self) -> None:
        """Does what is due."""


class Background(Protocol):
    """Runs a task when it is due. It does not keep the task alive."""

    def wake(self) -> None:
        """The task may be due earlier than it was. Starts the thread where there is none."""

    def close(self) -> None:
        """Ends the thread and waits for it."""


class World:
    """The real one."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    random = staticmethod(random.random)
    sleep = staticmethod(time.sleep)

    def now(self) -> Moment:
        return Moment(self.monotonic(), self.wall())

    def acquire(self, lock: Lock, seconds: float) -> bool:
        return bool(lock.acquire(timeout=max(seconds, 0)))

    def http(self) -> requests.Session:
        return requests.Session()

    def background(self, task: Task) -> Background:
        return _Thread(self, task)


_LONGEST = 3600.0  # seconds between two looks at the clock
_AFTER_ERROR = 10.0  # seconds
_log = logging.getLogger("keylife")


class _Thread:
    def __init__(self, world: World, task: Task) -> None:
        self._world = world
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._task = weakref.ref(task, lambda _, wake=self._wake: wake.set())  # type: ignore[misc]
        self._thread: Optional[threading.Thread] = None

    def wake(self) -> None:
        if self._thread is None:
            self._start()
        self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                arguments = (self._world, self._task, self._wake, self._closed)
                self._thread = threading.Thread(target=_loop, args=arguments, name="keylife", daemon=True)
                self._thread.start()

    def close(self) -> None:
        with self._lock:
            self._closed.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()


def _loop(world: World, reference: "weakref.ref[Task]", wake: threading.Event, closed: threading.Event) -> None:
    """Runs a task until it is closed or gone. While this waits, it does not hold the task."""
    while not closed.is_set():
        wake.clear()
        task = reference()
        if task is None:
            return
        left = task.due() - world.monotonic()
        if left <= 0:
            left = _run(task)
        del task
        if left > 0:
            wake.wait(min(left, _LONGEST))


def _run(task: Task) -> float:
    """Runs a task. Gives how long it is left alone, which it is where it does not do what it should."""
    try:
        task.run()
        return 0
    except Exception as error:  # of metrics, for example, which are the application's
        _log.warning("keylife: in the background: %s", type(error).__name__)
        return _AFTER_ERROR
