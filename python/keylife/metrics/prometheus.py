# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Metrics of clients for prometheus_client.

    metrics = PrometheusMetrics()
    client = keylife.Client(metrics=metrics)
    metrics.watch(client)  # for the gauges

One for each registry: a second one there is a ValueError of prometheus_client. Clients may share it.

In multiprocess mode (PROMETHEUS_MULTIPROC_DIR, as under gunicorn) the counter and the histogram are summed over the
workers, also where the client was built before they forked. The gauges are of one process and not in that sum: a worker
that shows its own registry shows them.
"""

import time
from typing import Callable, Dict, Iterator, Tuple

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from . import _GAUGES, _Client, _Watched


class PrometheusMetrics:
    """A keylife.metrics.Metrics. May be used by many threads at once."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        labels = ("key", "op", "source", "outcome")
        self._operations = Counter("keylife_client_operations", "Uses of keys", labels, registry=registry)
        self._requests = Histogram("keylife_client_request_seconds", "Requests to Vault", ("op", "outcome"), registry=registry)
        self._watched = _Watched()
        # What prometheus_client looks up by labels, under a lock, is kept. There are few: labels are names of keys and
        # fixed words. Two threads that miss put the same in.
        self._count: Dict[Tuple[str, str, str, str], Callable[[], None]] = {}
        registry.register(_Gauges(self._watched))

    def watch(self, client: _Client) -> None:
        """Shows how the keys of a client stand, as long as it is in use elsewhere."""
        self._watched.add(client)

    def operation(self, key: str, op: str, source: str, outcome: str) -> None:
        labels = (key, op, source, outcome)
        count = self._count.get(labels)
        if count is None:
            count = self._count[labels] = self._operations.labels(*labels).inc
        count()

    def request(self, key: str, op: str) -> Callable[[str], None]:
        begin = time.perf_counter()

        def ended(outcome: str) -> None:
            self._requests.labels(op, outcome).observe(time.perf_counter() - begin)

        return ended


class _Gauges(Collector):
    """Asks the clients when a registry is read."""

    def __init__(self, watched: _Watched) -> None:
        self._watched = watched

    def describe(self) -> Iterator[GaugeMetricFamily]:
        for name, what, _ in _GAUGES:
            yield GaugeMetricFamily(name, what, labels=["key"])

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = self._watched.stats()
        for name, what, value in _GAUGES:
            family = GaugeMetricFamily(name, what, labels=["key"])
            for stats in found:
                family.add_metric([stats.key], value(stats))
            yield family
