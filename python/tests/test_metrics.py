# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What the adapters make of what a client tells."""

import os
import subprocess
import sys
import types
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from keylife.metrics.otel import OpenTelemetryMetrics
from keylife.metrics.prometheus import PrometheusMetrics


class KeyStats(NamedTuple):
    key: str
    version: int
    data_keys: int
    proof_age: float


class Client:
    def __init__(self, *stats):
        self.all = list(stats)

    def stats(self):
        return self.all


def test_prometheus_counts_uses_and_times_requests():
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    for _ in range(3):
        metrics.operation("orders", "encrypt", "local", "ok")
    metrics.operation("orders", "encrypt", "engine", "unavailable")
    ended = metrics.request("orders", "datakey")
    ended("ok")
    count = "keylife_client_operations_total"
    assert registry.get_sample_value(count, {"key": "orders", "op": "encrypt", "source": "local", "outcome": "ok"}) == 3
    assert registry.get_sample_value(count, {"key": "orders", "op": "encrypt", "source": "engine", "outcome": "unavailable"}) == 1
    seconds = "keylife_client_request_seconds"
    assert registry.get_sample_value(seconds + "_count", {"op": "datakey", "outcome": "ok"}) == 1
    assert 0 <= registry.get_sample_value(seconds + "_sum", {"op": "datakey", "outcome": "ok"}) < 3600


def test_prometheus_shows_how_keys_stand_while_the_client_lives():
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    client, other = Client(KeyStats("orders", 3, 7, 12.5)), Client(KeyStats("payments", 1, 1, 2.0))
    metrics.watch(client)
    metrics.watch(other)
    assert registry.get_sample_value("keylife_client_version", {"key": "orders"}) == 3
    assert registry.get_sample_value("keylife_client_data_keys", {"key": "orders"}) == 7
    assert registry.get_sample_value("keylife_client_proof_age_seconds", {"key": "orders"}) == 12.5
    assert registry.get_sample_value("keylife_client_version", {"key": "payments"}) == 1
    client.all = [KeyStats("orders", 4, 8, 0.5)]
    assert registry.get_sample_value("keylife_client_version", {"key": "orders"}) == 4
    del client
    assert registry.get_sample_value("keylife_client_version", {"key": "orders"}) is None
    assert b"keylife_client_version" in generate_latest(registry)


def test_a_registry_takes_one():
    registry = CollectorRegistry()
    PrometheusMetrics(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        PrometheusMetrics(registry)


def test_prometheus_sums_over_processes_that_forked(tmp_path):
    program = """
import os
from prometheus_client import CollectorRegistry, multiprocess
from keylife.metrics.prometheus import PrometheusMetrics
metrics = PrometheusMetrics()
metrics.operation("orders", "encrypt", "local", "ok")
for _ in range(2):
    if os.fork() == 0:
        metrics.operation("orders", "encrypt", "local", "ok")
        metrics.request("orders", "datakey")("ok")
        os._exit(0)
for _ in range(2):
    os.wait()
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(registry.get_sample_value("keylife_client_operations_total", {"key": "orders", "op": "encrypt", "source": "local", "outcome": "ok"}),
      registry.get_sample_value("keylife_client_request_seconds_count", {"op": "datakey", "outcome": "ok"}))
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3.0", "2.0"]


class Recorder:
    """A meter and a tracer that refuse what those of OpenTelemetry do not take."""

    def __init__(self):
        self.told, self.gauges = [], {}

    def create_counter(self, name, unit="", description=""):
        return types.SimpleNamespace(add=lambda amount, attributes=None: self.told.append((name, amount, dict(attributes))))

    def create_histogram(self, name, unit="", description=""):
        return types.SimpleNamespace(record=lambda amount, attributes=None: self.told.append((name, unit, dict(attributes))))

    def create_observable_gauge(self, name, callbacks=None, unit="", description=""):
        self.gauges[name] = callbacks

    def start_span(self, name, context=None, kind=None, attributes=None):
        self.told.append(("begin", name, attributes))
        return types.SimpleNamespace(
            set_attribute=lambda key, value: self.told.append(("set", key, value)), end=lambda: self.told.append(("end", name, None))
        )


def test_opentelemetry_counts_uses_and_spans_requests():
    recorder = Recorder()
    metrics = OpenTelemetryMetrics(recorder, recorder)
    for _ in range(2):
        metrics.operation("orders", "decrypt", "stale", "ok")
    assert recorder.told == [
        ("keylife_client_operations_total", 1, {"key": "orders", "op": "decrypt", "source": "stale", "outcome": "ok"}),
    ] * 2
    recorder.told.clear()
    metrics.request("orders", "decrypt")("unavailable")
    assert recorder.told == [
        ("begin", "keylife decrypt", {"keylife.key": "orders", "keylife.op": "decrypt"}),
        ("keylife_client_request_seconds", "s", {"op": "decrypt", "outcome": "unavailable"}),
        ("set", "keylife.outcome", "unavailable"),
        ("end", "keylife decrypt", None),
    ]
    recorder.told.clear()
    OpenTelemetryMetrics(recorder).request("orders", "decrypt")("ok")
    assert [told[0] for told in recorder.told] == ["keylife_client_request_seconds"]


def test_opentelemetry_shows_how_keys_stand(monkeypatch):
    class Observation(NamedTuple):
        value: float
        attributes: dict

    monkeypatch.setitem(sys.modules, "opentelemetry", types.ModuleType("opentelemetry"))
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", types.SimpleNamespace(Observation=Observation))
    recorder = Recorder()
    metrics = OpenTelemetryMetrics(recorder)
    client = Client(KeyStats("orders", 3, 7, 12.5))
    metrics.watch(client)
    metrics.watch(client)
    shown = {name: callback(None) for name, (callback,) in recorder.gauges.items()}
    assert shown == {
        "keylife_client_version": [Observation(3, {"key": "orders"})],
        "keylife_client_data_keys": [Observation(7, {"key": "orders"})],
        "keylife_client_proof_age_seconds": [Observation(12.5, {"key": "orders"})],
    }
