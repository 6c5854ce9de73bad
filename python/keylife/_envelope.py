# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The message format KLE1, as docs/envelope.md specifies it. The same in Go: client/internal/kle1.

The module knows bytes and data keys. It fetches no data key and keeps none. Whatever is wrong with a message is
InvalidMessage and nothing more; what is wrong with the caller's own input is a ValueError that names it.
"""

import os
from typing import BinaryIO, Callable, Mapping, Optional, Tuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import constant_time, hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from ._frame import (
    FIELD,
    KEY_SIZE,
    MAGIC,
    MAX_PLAINTEXT,
    NONCE,
    STREAM,
    STREAM_HEADER,
    TAG,
    Header,
    Message,
    check,
    from_text,
    parse,
    read,
    read_header,
    rewrapped,
    serialize,
    to_text,
)
from ._streams import PREFIX, Segments, StreamReader, StreamWriter, write_all
from .errors import InvalidMessage

__all__ = [
    "FIELD",
    "STREAM",
    "Context",
    "DataKey",
    "Header",
    "InvalidMessage",
    "Message",
    "from_text",
    "parse",
    "read_header",
    "rewrapped",
    "serialize_context",
    "to_text",
]

Context = Mapping[str, str]

MAX_CONTEXT = (1 << 16) - 1


def serialize_context(context: Optional[Context]) -> bytes:
    """The serialization of the AWS Encryption SDK; an empty context is no bytes."""
    if not context:
        return b""
    pairs = []
    for name, value in context.items():
        if not name:
            raise ValueError("context: a name is empty")
        try:
            pairs.append((name.encode("utf-8"), value.encode("utf-8")))
        except UnicodeEncodeError:
            raise ValueError("context: a name or value is not UTF-8") from None
    pairs.sort()
    size = 2 + sum(4 + len(name) + len(value) for name, value in pairs)
    if size > MAX_CONTEXT:
        raise ValueError(f"context: {size} bytes serialized, the most is {MAX_CONTEXT}")
    parts = [len(pairs).to_bytes(2, "big")]
    for name_bytes, value_bytes in pairs:
        parts += (len(name_bytes).to_bytes(2, "big"), name_bytes, len(value_bytes).to_bytes(2, "big"), value_bytes)
    return b"".join(parts)


def _extract(salt: bytes, key: bytes) -> bytes:
    mac = hmac.HMAC(salt, hashes.SHA256())
    mac.update(key)
    return mac.finalize()


def _expand(prk: bytes, info: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), 32, info).derive(prk)


class DataKey:
    """Seals and opens messages with one data key. May be used by many threads at once."""

    __slots__ = ("_prk", "_aead", "_header", "head", "_aad", "_random", "key")

    def __init__(self, name: str, edk: str, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"data key: {len(key)} bytes, want {KEY_SIZE}")
        version = check(name, edk)
        self.key = key
        self._prk = _extract(b"keylife envelope v1", key)
        self._aead = AESGCM(_expand(self._prk, b"field"))
        self._header = Header(FIELD, name, edk, version, _expand(self._prk, b"commit"))
        self.head = serialize(self._header)  # what is before the body of each message in one piece
        self._aad = _associated(self._header)
        self._random = random

    @property
    def edk(self) -> str:
        return self._header.edk

    @property
    def version(self) -> int:
        return self._header.version

    def __repr__(self) -> str:
        return "data key [redacted]"

    def seal(self, plaintext: bytes, context: Optional[Context] = None) -> bytes:
        """Encrypts a plaintext of at most MAX_PLAINTEXT bytes to a message in one piece."""
        if len(plaintext) > MAX_PLAINTEXT:
            raise ValueError(f"plaintext: {len(plaintext)} bytes, the most is {MAX_PLAINTEXT}")
        aad = self._aad + serialize_context(context)
        nonce = self._random(NONCE)
        return self.head + nonce + self._aead.encrypt(nonce, plaintext, aad)

    def open(self, message: Message, context: Optional[Context] = None) -> bytes:
        """Decrypts a message in one piece."""
        aad = self._aad + serialize_context(context)
        header, body = message
        if header.suite != FIELD or not constant_time.bytes_eq(header.commitment, self._header.commitment):
            raise InvalidMessage
        return self._open(body, aad)

    def open_body(self, body: bytes, context: Optional[Context] = None) -> bytes:
        """Decrypts the body of a message whose head is that of this data key."""
        return self._open(body, self._aad + serialize_context(context))

    def _open(self, body: bytes, aad: bytes) -> bytes:
        if not NONCE + TAG <= len(body) <= NONCE + MAX_PLAINTEXT + TAG:
            raise InvalidMessage
        try:
            return self._aead.decrypt(body[:NONCE], body[NONCE:], aad)
        except InvalidTag:
            raise InvalidMessage from None

    def writer(self, target: BinaryIO, context: Optional[Context] = None) -> StreamWriter:
        """Begins a stream. It is whole when close returned; what is left by an exception does not open to its end."""
        header, aad = self._stream_header(context)
        salt, prefix = self._random(32), self._random(PREFIX)
        write_all(target, serialize(header) + bytes((STREAM_HEADER,)) + salt + prefix)
        return StreamWriter(target, self._segments(salt, prefix, aad))

    def reader(self, header: Header, source: BinaryIO, context: Optional[Context] = None) -> StreamReader:
        """Opens the stream whose header was read from source."""
        want, aad = self._stream_header(context)
        if header.suite != STREAM or not constant_time.bytes_eq(header.commitment, want.commitment):
            raise InvalidMessage
        start = read(source, STREAM_HEADER)
        if len(start) != STREAM_HEADER or start[0] != STREAM_HEADER:
            raise InvalidMessage
        return StreamReader(source, self._segments(start[1:33], start[33:], aad))

    def _segments(self, salt: bytes, prefix: bytes, aad: bytes) -> Segments:
        return Segments(_expand(_extract(salt, _expand(self._prk, b"stream")), aad), prefix)

    def _stream_header(self, context: Optional[Context]) -> Tuple[Header, bytes]:
        """The header and associated data of a stream. Its commitment is of the context too, see docs/envelope.md."""
        serialized = serialize_context(context)
        commitment = _expand(self._prk, b"commit stream" + serialized)
        header = self._header._replace(suite=STREAM, commitment=commitment)
        return header, _associated(header) + serialized


def _associated(header: Header) -> bytes:
    return MAGIC + bytes((header.suite,)) + header.commitment
