# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Metrics and spans of clients for OpenTelemetry.

    metrics = OpenTelemetryMetrics(opentelemetry.metrics.get_meter("keylife"), opentelemetry.trace.get_tracer("keylife"))
    client = keylife.Client(metrics=metrics)
    metrics.watch(client)  # for the gauges

Spans are around requests to Vault alone. It uses meter and tracer as the API of OpenTelemetry names their methods, and
imports opentelemetry only in watch. The tests of keylife do so with a meter and a tracer of their own, not with the SDK.
"""

import importlib
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

from . import _GAUGES, KeyStats, _Client, _Watched

Attributes = Mapping[str, str]


class Counter(Protocol):
    def add(self, amount: int, attributes: Optional[Any] = None) -> None:
        """Counts."""


class Histogram(Protocol):
    def record(self, amount: float, attributes: Optional[Any] = None) -> None:
        """Counts a value."""


class Meter(Protocol):
    """Of opentelemetry.metrics.Meter, what is used here."""

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """Makes a counter."""

    def create_histogram(self, name: str, unit: str = "", description: str = "") -> Histogram:
        """Makes a histogram."""

    def create_observable_gauge(self, name: str, callbacks: Optional[Any] = None, unit: str = "", description: str = "") -> Any:
        """Makes a gauge that asks the callbacks."""


class Span(Protocol):
    def set_attribute(self, key: str, value: str) -> None:
        """Adds to what is known of the span."""

    def end(self) -> None:
        """Ends it now."""


class Tracer(Protocol):
    """Of opentelemetry.trace.Tracer, what is used here."""

    def start_span(self, name: str, *, attributes: Optional[Any] = None) -> Span:
        """Begins a span below that of the caller."""


class OpenTelemetryMetrics:
    """A keylife.metrics.Metrics. May be used by many threads at once. Without a tracer there are no spans."""

    def __init__(self, meter: Meter, tracer: Optional[Tracer] = None) -> None:
        self._meter = meter
        self._tracer = tracer
        self._operations = meter.create_counter("keylife_client_operations_total", description="Uses of keys")
        self._requests = meter.create_histogram("keylife_client_request_seconds", unit="s", description="Requests to Vault")
        self._watched: Optional[_Watched] = None
        self._attributes: Dict[Tuple[str, str, str, str], Attributes] = {}  # few: names of keys and fixed words

    def watch(self, client: _Client) -> None:
        """Shows how the keys of a client stand, as long as it is in use elsewhere."""
        if self._watched is None:
            self._watched = _Watched()
            observation = importlib.import_module("opentelemetry.metrics").Observation
            for name, what, value in _GAUGES:
                observe = [_observer(self._watched, observation, value)]
                self._meter.create_observable_gauge(name, callbacks=observe, description=what)
        self._watched.add(client)

    def operation(self, key: str, op: str, source: str, outcome: str) -> None:
        labels = (key, op, source, outcome)
        attributes = self._attributes.get(labels)
        if attributes is None:
            attributes = self._attributes[labels] = {"key": key, "op": op, "source": source, "outcome": outcome}
        self._operations.add(1, attributes)

    def request(self, key: str, op: str) -> Callable[[str], None]:
        begin = time.perf_counter()
        span = None
        if self._tracer is not None:
            span = self._tracer.start_span(f"keylife {op}", attributes={"keylife.key": key, "keylife.op": op})

        def ended(outcome: str) -> None:
            self._requests.record(time.perf_counter() - begin, {"op": op, "outcome": outcome})
            if span is not None:
                span.set_attribute("keylife.outcome", outcome)
                span.end()

        return ended


def _observer(watched: _Watched, observation: Any, value: Callable[[KeyStats], float]) -> Callable[[Any], List[Any]]:
    return lambda options: [observation(value(stats), {"key": stats.key}) for stats in watched.stats()]
