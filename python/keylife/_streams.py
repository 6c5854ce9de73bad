# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The body of suite 2 of KLE1: what Tink's AES256_GCM_HKDF_1MB writes behind its header. docs/envelope.md specifies it.

Each stream has two buffers, which it uses again for every segment: new ones of this size cost more than the cipher. A
segment is encrypted by the Cipher of cryptography and not by its AESGCM, which copies each one several times. Plaintext
leaves a buffer only after the tag of its segment was found right.
"""

import io
import struct
from typing import BinaryIO, Callable, Optional, Union

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ._frame import STREAM_HEADER, TAG
from .errors import InvalidMessage

SEGMENT = 1 << 20
PREFIX = 7
_MAX_SEGMENTS = (1 << 32) - 1

Buffer = Union[bytes, bytearray, memoryview]


class Segments:
    """Encrypts or decrypts the segments of one stream, in their order. What it returns is valid until the next one."""

    def __init__(self, key: bytes, prefix: bytes) -> None:
        self._aes = algorithms.AES(key)
        self._prefix = prefix
        self._count = 0
        self._out = memoryview(bytearray(SEGMENT + TAG))  # the cipher asks for a block more than it writes

    @property
    def size(self) -> int:
        """Length of the next segment, encrypted, if it is whole."""
        return SEGMENT if self._count else SEGMENT - STREAM_HEADER

    def _nonce(self, last: bool) -> bytes:
        if self._count >= _MAX_SEGMENTS:
            raise ValueError("stream: too many segments")
        nonce = self._prefix + struct.pack(">IB", self._count, last)
        self._count += 1
        return nonce

    def encrypt(self, plaintext: Buffer, last: bool) -> memoryview:
        cipher = Cipher(self._aes, modes.GCM(self._nonce(last))).encryptor()
        end = cipher.update_into(plaintext, self._out)
        cipher.finalize()
        self._out[end : end + TAG] = cipher.tag
        return self._out[: end + TAG]

    def decrypt(self, segment: memoryview, last: bool) -> memoryview:
        if len(segment) < TAG:
            raise InvalidMessage
        cipher = Cipher(self._aes, modes.GCM(self._nonce(last), bytes(segment[-TAG:]))).decryptor()
        end = cipher.update_into(segment[:-TAG], self._out)
        try:
            cipher.finalize()
        except InvalidTag:
            raise InvalidMessage from None
        return self._out[:end]


def write_all(target: BinaryIO, data: Buffer) -> None:
    """Writes to what may take a part only, such as a file without a buffer."""
    left: Buffer = bytes(data)  # since not everything that has a write leaves a buffer alone once it returned
    while left:
        taken = target.write(left)
        if taken is None and isinstance(target, io.RawIOBase):
            raise BlockingIOError("stream: what it is written to would block")
        left = memoryview(left)[len(left) if taken is None else taken :]


def fill(source: BinaryIO, buffer: memoryview) -> int:
    """Reads until the buffer is full, less at the end only."""
    readinto = getattr(source, "readinto", None)
    done = 0
    while done < len(buffer):
        if readinto is None:
            part = source.read(len(buffer) - done)
            size = len(part)
            buffer[done : done + size] = part
        else:
            size = readinto(buffer[done:])
        if not size:
            break
        done += size
    return done


class StreamWriter(io.RawIOBase):
    """Where the plaintext of a stream goes. It is whole when close returned; leaving it by an exception ends no stream.

    written is told of the bytes of each segment, ended once whether the stream is whole. The target stays open.
    """

    written: Optional[Callable[[int], None]] = None
    ended: Optional[Callable[[bool], None]] = None

    def __init__(self, target: BinaryIO, segments: Segments) -> None:
        self._target = target
        self._segments = segments
        self._held = memoryview(bytearray(SEGMENT))
        self._count = 0  # of bytes held
        self._failed = False

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:  # type: ignore[override]
        if self.closed or self._failed:
            raise ValueError("write to a stream that is closed or failed")
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            room = self._segments.size - TAG
            if self._count == room:  # more follows, so it is not the last one
                self._flush(last=False)
            elif not self._count and len(view) - done > room:  # nothing to wait for, so nothing to copy
                self._put(view[done : done + room], last=False)
                done += room
            else:
                part = view[done : done + room - self._count]
                self._held[self._count : self._count + len(part)] = part
                self._count += len(part)
                done += len(part)
        return done

    def _flush(self, last: bool) -> None:
        self._put(self._held[: self._count], last)
        self._count = 0

    def _put(self, plaintext: Buffer, last: bool) -> None:
        self._failed = True
        write_all(self._target, self._segments.encrypt(plaintext, last))
        self._failed = False
        if self.written:
            self.written(len(plaintext))

    def close(self) -> None:
        """Writes the last segment."""
        if self.closed:
            return
        if self._failed:
            self.abandon()
            raise OSError("stream: a part was not written, so it is not whole")
        try:
            self._flush(last=True)
        except BaseException:
            self.abandon()
            raise
        self._end(whole=True)

    def abandon(self) -> None:
        """Ends no stream: what was written does not open to its end."""
        self._failed = True
        if not self.closed:
            self._end(whole=False)

    def _end(self, whole: bool) -> None:
        super().close()
        if self.ended:
            self.ended(whole)

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None:
            self.abandon()
        self.close()

    def __del__(self) -> None:
        """A stream that nobody closed is not whole."""
        if hasattr(self, "_failed"):
            self.abandon()


class StreamReader(io.RawIOBase):
    """The plaintext of a stream. Nothing is missing at its end only once that was read. ended is told of its close."""

    ended: Optional[Callable[[], None]] = None

    def __init__(self, source: BinaryIO, segments: Segments) -> None:
        self._source = source
        self._segments = segments
        self._segment = memoryview(bytearray(SEGMENT + 1))
        self._ahead = 0  # bytes of the next segment that were read
        self._plain = memoryview(b"")
        self._last = False
        self._failed = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        target = memoryview(buffer).cast("B")
        if not self._more():
            return 0
        size = min(len(target), len(self._plain))
        target[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def readall(self) -> bytes:
        parts = []
        while self._more():
            parts.append(bytes(self._plain))
            self._plain = self._plain[:0]
        return b"".join(parts)

    def _more(self) -> bool:
        """Whether there is plaintext to give."""
        if self.closed:
            raise ValueError("read of a stream that is closed")
        if self._failed:
            raise InvalidMessage
        while not self._plain and not self._last:
            self._next()
        return len(self._plain) > 0

    def _next(self) -> None:
        size = self._segments.size
        end = self._ahead + fill(self._source, self._segment[self._ahead : size + 1])  # one more tells whether it is the last
        self._last = end <= size
        try:
            self._plain = self._segments.decrypt(self._segment[: min(end, size)], self._last)
        except InvalidMessage:
            self._failed = True
            raise
        self._ahead = end - min(end, size)
        self._segment[:1] = self._segment[size : size + 1]

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self.ended:
            self.ended()
