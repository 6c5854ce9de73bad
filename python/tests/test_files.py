# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Streams as files: whole or not there, and what a file can do besides."""

import io
import os
import shutil
import subprocess
import sys

import pytest

from keylife import AccessDenied, InvalidMessage, Unavailable, _envelope as envelope, _files as files
from keylife.testing import FakeVault

EDK = "vault:v3:1yazmAc2BWxczpAO0yoTQE20sJlCWjLrqXW3Ickf7XP3Lyb6cGBI5enVcakbsmQbEA4GN6Trt6U2y//Q"
SIZES = [0, 1, (1 << 20) - 56, (1 << 20) - 55, 3 << 20]


class Keys:
    """One data key, and how much it encrypted."""

    def __init__(self):
        self.key = envelope.DataKey("orders", EDK, bytes(range(32)))
        self.bytes = 0

    def protecting_data_key(self):
        return self.key, self._used

    def _used(self, size):
        self.bytes += size

    def data_key_for(self, header):
        return self.key


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dump.kle"


def write(keys, what, plaintext, context=None):
    with files.open_stream(keys, what, "wb", context) as stream:
        stream.write(plaintext)


def read(keys, what, context=None):
    with files.open_stream(keys, what, "rb", context) as stream:
        return stream.read()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read(keys, path, size):
    plaintext = os.urandom(size)
    write(keys, path, plaintext, {"file": "dump"})
    assert read(keys, str(path), {"file": "dump"}) == plaintext
    assert keys.bytes == size
    with pytest.raises(InvalidMessage):
        read(keys, path, {"file": "other"})


@pytest.mark.parametrize("chunk", [1, 1000, 1 << 16, 5 << 20])
def test_pieces_of_any_size(keys, chunk):
    plaintext = os.urandom((2 << 20) + 17 if chunk > 1 else 5000)
    target = io.BytesIO()
    with files.open_stream(keys, target, "wb", None) as stream:
        shutil.copyfileobj(io.BytesIO(plaintext), stream, chunk)
    copy = io.BytesIO()
    with files.open_stream(keys, io.BytesIO(target.getvalue()), "rb", None) as stream:
        shutil.copyfileobj(stream, copy, chunk)
    assert copy.getvalue() == plaintext


def test_files_with_names_are_closed(keys, path):
    def opened():
        return len(os.listdir("/proc/self/fd"))

    before = opened()
    write(keys, path, b"x")
    assert opened() == before
    stream = files.open_stream(keys, path, "rb", None)
    assert opened() == before + 1
    stream.close()
    assert opened() == before
    with pytest.raises(InvalidMessage):
        files.open_stream(keys, path, "rb", {"other": "context"})
    assert opened() == before


def test_lines(keys, path):
    lines = [b"line %d\n" % number for number in range(200_000)]
    with files.open_stream(keys, path, "wb", None) as stream:
        stream.writelines(lines)
    with files.open_stream(keys, path, "rb", None) as stream:
        assert stream.readline() == lines[0]
        assert list(stream) == lines[1:]
    with files.open_stream(keys, path, "rb", None) as stream, io.TextIOWrapper(stream) as text:
        assert sum(1 for _ in text) == len(lines)


def test_a_file_is_there_when_it_is_whole(keys, path, tmp_path):
    path.write_bytes(b"before")
    stream = files.open_stream(keys, path, "wb", None)
    stream.write(b"x" * (3 << 20))
    assert path.read_bytes() == b"before"
    stream.close()
    assert read(keys, path) == b"x" * (3 << 20)
    assert os.listdir(tmp_path) == [path.name]


def test_an_exception_leaves_what_was_there(keys, path, tmp_path):
    for there in (None, b"before"):
        if there:
            path.write_bytes(there)
        with pytest.raises(KeyError):
            with files.open_stream(keys, path, "wb", None) as stream:
                stream.write(b"x" * (3 << 20))
                raise KeyError
        assert stream.closed
        assert (path.read_bytes() if path.exists() else None) == there
    stream = files.open_stream(keys, path, "wb", None)
    stream.write(b"x")
    del stream  # forgotten
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == b"before"


def test_an_exception_leaves_no_readable_stream_in_a_file_of_the_caller(keys):
    target = io.BytesIO()
    with pytest.raises(KeyError):
        with files.open_stream(keys, target, "wb", None) as stream:
            stream.write(b"x" * (3 << 20))
            raise KeyError
    target.seek(0)
    with pytest.raises(InvalidMessage):
        read(keys, target)
    assert not target.closed


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_cannot_be_ended_is_an_error_and_not_there(keys, path, tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError("no space left")

    stream = files.open_stream(keys, path, "wb", None)
    with monkeypatch.context() as broken:
        broken.setattr(os, step, fail)
        with pytest.raises(OSError, match="no space left"):
            stream.close()
    assert os.listdir(tmp_path) == []


def test_a_cut_file_is_told_at_its_end(keys, path):
    write(keys, path, b"x" * (3 << 20))
    path.write_bytes(path.read_bytes()[:-1])
    with files.open_stream(keys, path, "rb", None) as stream:
        assert stream.read(1 << 20) == b"x" * (1 << 20)
        for _ in range(2):
            with pytest.raises(InvalidMessage):
                stream.read()
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InvalidMessage):
        read(keys, path)


def test_a_field_is_no_stream(keys, path):
    path.write_bytes(keys.key.seal(b"x" * 100))
    with pytest.raises(InvalidMessage):
        read(keys, path)


def test_what_a_stream_cannot_do(keys, path):
    write(keys, path, b"x")
    with files.open_stream(keys, path, "rb", None) as stream:
        assert stream.readable() and not stream.seekable() and not stream.writable()
        for act in (lambda: stream.seek(0), stream.tell, lambda: stream.write(b"x")):
            with pytest.raises(io.UnsupportedOperation):
                act()
    with pytest.raises(ValueError, match="closed"):
        stream.read()
    with files.open_stream(keys, path, "wb", None) as stream:
        assert stream.writable() and not stream.seekable() and not stream.readable()
        with pytest.raises(io.UnsupportedOperation):
            stream.seek(0)
    with pytest.raises(ValueError, match="closed"):
        stream.write(b"x")
    for mode in ("r", "w", "ab", "r+b", "xb", "rt"):
        with pytest.raises(ValueError, match="want 'rb' or 'wb'"):
            files.open_stream(keys, path, mode, None)
    for what in (io.StringIO(), 3, None):
        for mode in ("rb", "wb"):
            with pytest.raises(TypeError, match="binary mode"):
                files.open_stream(keys, what, mode, None)
    with pytest.raises(FileNotFoundError):
        read(keys, path.parent / "none")


def test_modes_and_links_stay(keys, tmp_path):
    there = tmp_path / "there"
    there.write_bytes(b"")
    there.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(there)
    write(keys, link, b"x")
    assert link.is_symlink() and there.stat().st_mode & 0o777 == 0o640
    assert read(keys, there) == b"x"
    umask = os.umask(0o027)
    try:
        write(keys, tmp_path / "new", b"x")
    finally:
        os.umask(umask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_and_not_replaced(keys, path):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(keys, path, b"x")
    assert path.is_fifo()
    assert read(keys, io.BytesIO(os.read(reader, 1 << 16))) == b"x"
    os.close(reader)


def test_what_takes_a_part_only_gets_the_rest(keys):
    class Little(io.RawIOBase):
        taken = b""

        def writable(self):
            return True

        def write(self, data):
            self.taken += bytes(data[:100_000])
            return min(len(data), 100_000)

    target = Little()
    write(keys, target, b"x" * (1 << 20))
    assert read(keys, io.BytesIO(target.taken)) == b"x" * (1 << 20)


def test_a_writer_that_keeps_what_it_got_gets_no_buffer_that_changes(keys):
    class Parts(list):
        def write(self, data):
            self.append(data)

    target = Parts()
    write(keys, target, b"x" * (3 << 20))
    assert read(keys, io.BytesIO(b"".join(target))) == b"x" * (3 << 20)


def test_a_file_is_rewrapped_whatever_its_size(keys, path, tmp_path):
    asked = []

    def rewrap(messages):
        asked.extend(messages)
        return [envelope.rewrapped(message, EDK.replace(":v3:", ":v12:")) for message in messages]

    for plaintext in (b"", os.urandom(3 << 20)):
        write(keys, path, plaintext)
        path.chmod(0o640)
        files.rewrap_file(rewrap, path)
        with open(path, "rb") as source:
            assert envelope.read_header(source).version == 12
        assert read(keys, path) == plaintext
        assert path.stat().st_mode & 0o777 == 0o640
    assert all(len(message) <= 8 << 10 for message in asked)
    path.write_bytes(b"none")
    with pytest.raises(InvalidMessage):
        files.rewrap_file(rewrap, path)
    assert path.read_bytes() == b"none" and os.listdir(tmp_path) == [path.name]


def test_a_stream_is_a_use_of_its_key(path):
    class Told(list):
        def operation(self, *told):
            self.append(told)

        def request(self, key, op):
            return lambda outcome: None

    told, vault = Told(), FakeVault("orders")
    orders = vault.client(metrics=told).key("orders")
    for _ in range(2):
        orders.open(path, "wb").close()
    orders.open(path, "rb").close()
    vault.deny("orders", "datakey")
    vault.advance(600)
    with pytest.raises(AccessDenied):
        orders.open(path, "wb")
    vault.set_outage("down")
    with pytest.raises(Unavailable):
        orders.open(path, "rb")
    assert [(op, source, outcome) for _, op, source, outcome in told] == [
        ("encrypt", "engine", "ok"), ("encrypt", "local", "ok"), ("decrypt", "local", "ok"),
        ("encrypt", "engine", "access_denied"), ("decrypt", "engine", "unavailable"),
    ]


def test_memory_does_not_grow_with_the_stream(tmp_path):
    """In a process of its own: what other tests used counts as well."""
    program = """
import os, sys, threading
sys.path[:0] = [%r, %r]
from test_files import Keys, files
source, target = os.pipe()
def write():
    with open(target, "wb") as file, files.open_stream(Keys(), file, "wb", None) as stream:
        piece = bytes(1 << 20)
        for _ in range(int(sys.argv[1])):
            stream.write(piece)
thread = threading.Thread(target=write)
thread.start()
size = 0
with open(source, "rb") as file, files.open_stream(Keys(), file, "rb", None) as stream:
    while True:
        piece = stream.read(1 << 20)
        if not piece:
            break
        size += len(piece)
thread.join()
print(size, open("/proc/self/status").read().split("VmHWM:")[1].split()[0])  # that of getrusage may be of who started this
""" % (os.path.dirname(os.path.dirname(__file__)), os.path.dirname(__file__))
    peaks = []
    for megabytes in (8, 300):
        done = subprocess.run([sys.executable, "-c", program, str(megabytes)], capture_output=True, text=True, check=True)
        size, peak = map(int, done.stdout.split())
        assert size == megabytes << 20
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 16 << 10, f"{peaks} KiB"
