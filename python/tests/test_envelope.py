# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The vectors that Go wrote, and what they cannot hold."""

import hashlib
import io
import json
from pathlib import Path

import pytest

import keylife
from keylife import InvalidMessage, _envelope as envelope

VECTORS = Path(__file__).resolve().parents[2] / "client" / "testdata" / "kle1"
FIELDS = json.loads((VECTORS / "fields.json").read_text())
STREAMS = json.loads((VECTORS / "streams.json").read_text())


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["name"])


def keys(vectors, **more):
    return {edk: envelope.DataKey("orders", edk, bytes.fromhex(key), **more) for edk, key in vectors["data_keys"].items()}


def chance(*values):
    """Random bytes that are none."""
    left = list(values)
    return lambda size: left.pop(0) if len(left[0]) == size else pytest.fail("other random bytes were wanted")


def open_field(case, message):
    taken_apart = envelope.parse(message)
    key = keys(FIELDS).get(taken_apart.header.edk)
    if key is None:
        raise InvalidMessage
    return key.open(taken_apart, case["context"])


def message_of(case):
    return envelope.from_text(case["text"]) if case.get("text") else bytes.fromhex(case.get("message", ""))


@named(FIELDS["valid"])
def test_fields(case):
    message = bytes.fromhex(case.get("message", ""))
    assert open_field(case, message) == bytes.fromhex(case.get("plaintext", ""))
    if "text" in case:
        assert envelope.to_text(message) == case["text"]
        assert envelope.from_text(case["text"]) == message
    if "nonce" in case:
        edk = envelope.parse(message).header.edk
        key = keys(FIELDS, random=chance(bytes.fromhex(case["nonce"])))[edk]
        assert key.seal(bytes.fromhex(case.get("plaintext", "")), case["context"]) == message


@named(FIELDS["invalid"])
def test_fields_that_do_not_open(case):
    with pytest.raises(InvalidMessage, match="^invalid message$"):
        open_field(case, message_of(case))


def pattern(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def write_stream(case):
    (edk,) = STREAMS["data_keys"]
    key = keys(STREAMS, random=chance(bytes.fromhex(case["salt"]), bytes.fromhex(case["nonce_prefix"])))[edk]
    target = io.BytesIO()
    with key.writer(target, case["context"]) as stream:
        stream.write(pattern(case["plaintext_length"]))
    return target.getvalue()


def read_stream(stream, context):
    (key,) = keys(STREAMS).values()
    source = io.BytesIO(stream)
    return key.reader(envelope.read_header(source), source, context).read()


@named(STREAMS["valid"])
def test_streams(case):
    stream = write_stream(case)
    assert stream.startswith(bytes.fromhex(case["head"]))
    assert hashlib.sha256(stream).hexdigest() == case["sha256"]
    assert read_stream(stream, case["context"]) == pattern(case["plaintext_length"])


def altered(case):
    stream = write_stream(next(valid for valid in STREAMS["valid"] if valid["name"] == case["of"]))
    if "segments" in case:
        start = len(stream) - len(envelope.parse(stream).body)
        cuts = [start + 40] + list(range(start + (1 << 20), len(stream), 1 << 20)) + [len(stream)]
        stream = stream[: start + 40] + b"".join(stream[cuts[i] : cuts[i + 1]] for i in case["segments"])
    stream = bytearray(stream[: len(stream) - case.get("cut", 0)] + bytes.fromhex(case.get("append", "")))
    if "flip" in case:
        stream[case["flip"]] ^= 1
    return bytes(stream)


@named(STREAMS["invalid"])
def test_streams_that_do_not_open(case):
    with pytest.raises(InvalidMessage):
        read_stream(altered(case), case["context"])


def test_a_stream_that_failed_goes_on_failing():
    (key,) = keys(STREAMS).values()
    source = io.BytesIO(altered({"of": "short", "flip": 292}))
    stream = key.reader(envelope.read_header(source), source, {"file": "dump"})
    for _ in range(3):
        with pytest.raises(InvalidMessage):
            stream.read(10)


def test_a_stream_left_by_an_exception_does_not_open_to_its_end():
    (key,) = keys(STREAMS).values()
    target = io.BytesIO()
    with pytest.raises(KeyError):
        with key.writer(target) as stream:
            stream.write(pattern(3 << 20))
            raise KeyError
    with pytest.raises(InvalidMessage):
        read_stream(target.getvalue(), None)
    with pytest.raises(ValueError):
        stream.write(b"more")


def test_a_stream_that_was_not_written_is_not_closed():
    class Full(io.BytesIO):
        room = 1 << 20

        def write(self, data):
            if self.tell() + len(data) > self.room:
                raise OSError("no space left")
            return super().write(data)

    (key,) = keys(STREAMS).values()
    target = Full()
    stream = key.writer(target)
    with pytest.raises(OSError):
        stream.write(pattern(3 << 20))
    target.room = 1 << 30
    with pytest.raises(OSError, match="not whole"):
        stream.close()
    with pytest.raises(InvalidMessage):
        read_stream(target.getvalue(), None)


def test_a_stream_is_read_from_what_gives_little_at_a_time():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 100_000))

    (key,) = keys(STREAMS).values()
    source = Slow(write_stream(STREAMS["valid"][-1]))
    stream = key.reader(envelope.read_header(source), source, {"file": "dump"})
    assert stream.read() == pattern(STREAMS["valid"][-1]["plaintext_length"])


@pytest.mark.parametrize("context, said", [
    ({"": "x"}, "a name is empty"),
    ({"x": "\ud800"}, "not UTF-8"),
    ({"x": "y" * ((1 << 16) - 7)}, "65536 bytes serialized"),
])
def test_a_context_that_cannot_be_written_is_refused_by_name(context, said):
    key = next(iter(keys(FIELDS).values()))
    for act in (lambda: key.seal(b"", context), lambda: key.writer(io.BytesIO(), context)):
        with pytest.raises(ValueError, match=said):
            act()


@pytest.mark.parametrize("name, edk, size", [
    ("../sys/seal", "vault:v1:A", 32), ("a.", "vault:v1:A", 32), ("a" * 256, "vault:v1:A", 32), ("a\n", "vault:v1:A", 32), ("é", "vault:v1:A", 32),
    ("a", "vault:v0:A", 32), ("a", "vault:v01:A", 32), ("a", "vault:v2147483648:A", 32), ("a", "vault:v1:A\n", 32), ("a", "vault:v1:", 32),
    ("a", "vault:v1:" + "A" * 4088, 32), ("a", "vault:v1:A", 31),
])
def test_a_data_key_that_cannot_be_written_is_refused(name, edk, size):
    with pytest.raises(ValueError):
        envelope.DataKey(name, edk, bytes(size))


def test_a_message_lives_through_a_rewrap():
    case = FIELDS["valid"][0]
    rewrapped = next(valid for valid in FIELDS["valid"] if valid["name"] == "rewrapped")
    message = bytes.fromhex(rewrapped["message"])
    assert envelope.rewrapped(bytes.fromhex(case["message"]), envelope.parse(message).header.edk) == message
    with pytest.raises(ValueError, match="encrypted data key"):
        envelope.rewrapped(message, "plain")


def test_a_message_tells_key_and_version_without_a_key():
    case = FIELDS["valid"][0]
    assert keylife.inspect(case["text"]) == keylife.inspect(bytes.fromhex(case["message"])) == keylife.Info(False, "orders", 3)
    for none in (b"", b"KLE1", "kle1.", "KLE1", "vault:v1:AAAA", "kle1.\u00e9"):
        with pytest.raises(InvalidMessage):
            keylife.inspect(none)
