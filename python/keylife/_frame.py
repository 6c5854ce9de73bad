# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""How a message of KLE1 is taken apart and put together: header, body, text form. Nothing here needs a key."""

import base64
import binascii
import re
import struct
from typing import BinaryIO, NamedTuple, Optional, Tuple

from .errors import InvalidMessage

FIELD = 1
STREAM = 2

MAX_PLAINTEXT = 64 << 20
MAX_NAME = 255
MAX_EDK = 4096

MAGIC = b"KLE1"
_FIXED = struct.Struct(">4sBH")
COMMITMENT = 32
KEY_SIZE = 32
NONCE = 12
TAG = 16
STREAM_HEADER = 1 + 32 + 7  # what is before the first segment of a stream
_TEXT_PREFIX = "kle1."

_NAME = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)?\Z")
_EDK = re.compile(rb"vault:v([1-9][0-9]{0,9}):[A-Za-z0-9+/=]+\Z")


class Header(NamedTuple):
    """What a message tells without a key. Nothing of it is authenticated, and the name never is: it is a hint."""

    suite: int
    name: str
    edk: str
    version: int
    commitment: bytes


class Message(NamedTuple):
    """A message in memory, taken apart."""

    header: Header
    body: bytes


def parse(message: bytes) -> Message:
    """Takes a message apart."""
    suite, length = _parse_fixed(message[: _FIXED.size])
    end = _FIXED.size + length
    if len(message) < end:
        raise InvalidMessage
    header = _parse_header(suite, message[_FIXED.size : end])
    body = message[end:]
    if not _fits(suite, len(body)):
        raise InvalidMessage
    return Message(header, body)


def read_header(source: BinaryIO) -> Header:
    """Reads the header of a message and nothing behind it."""
    suite, length = _parse_fixed(read(source, _FIXED.size))
    return _parse_header(suite, read(source, length))


def read(source: BinaryIO, size: int) -> bytes:
    """Reads so many bytes, fewer at the end only."""
    parts = []
    while size:
        part = source.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _parse_fixed(fixed: bytes) -> Tuple[int, int]:
    if len(fixed) != _FIXED.size:
        raise InvalidMessage
    magic, suite, length = _FIXED.unpack(fixed)
    if magic != MAGIC or suite not in (FIELD, STREAM):
        raise InvalidMessage
    return suite, length


def _parse_header(suite: int, header: bytes) -> Header:
    name, rest = _cut_counted(header, 1)
    edk, commitment = _cut_counted(rest, 2)
    version = _version_of(edk)
    if len(commitment) != COMMITMENT or not _is_name(name) or version is None:
        raise InvalidMessage
    return Header(suite, name.decode("ascii"), edk.decode("ascii"), version, commitment)


def _cut_counted(data: bytes, width: int) -> Tuple[bytes, bytes]:
    """Cuts off a text behind its length, a number of so many bytes."""
    end = width + int.from_bytes(data[:width], "big")
    if len(data) < end:
        raise InvalidMessage
    return data[width:end], data[end:]


def _fits(suite: int, size: int) -> bool:
    if suite == FIELD:
        return NONCE + TAG <= size <= NONCE + MAX_PLAINTEXT + TAG
    return size >= STREAM_HEADER + TAG


def _is_name(name: bytes) -> bool:
    return len(name) <= MAX_NAME and _NAME.match(name) is not None


def version_of(edk: str) -> Optional[int]:
    """The version of an encrypted data key, None where it is none."""
    return _version_of(edk.encode("utf-8", "replace"))


def _version_of(edk: bytes) -> Optional[int]:
    match = _EDK.match(edk)
    if match is None or len(edk) > MAX_EDK or int(match[1]) >= 1 << 31:
        return None
    return int(match[1])


def serialize(header: Header) -> bytes:
    name, edk = header.name.encode("ascii"), header.edk.encode("ascii")
    length = 1 + len(name) + 2 + len(edk) + COMMITMENT
    return b"".join(
        (_FIXED.pack(MAGIC, header.suite, length), bytes((len(name),)), name, len(edk).to_bytes(2, "big"), edk, header.commitment)
    )


def rewrapped(message: bytes, edk: str) -> bytes:
    """The message with another encrypted data key: the engine's rewrap of the one before."""
    header, body = parse(message)
    version = check(header.name, edk)
    return serialize(header._replace(edk=edk, version=version)) + body


def check_name(name: str) -> None:
    if not name or not _is_name(name.encode("utf-8", "replace")):
        raise ValueError(f"key name: {name[:MAX_NAME]!r}, want 1 to {MAX_NAME} letters, digits, '_', and inside '-' and '.'")


def check(name: str, edk: str) -> int:
    if not _is_name(name.encode("utf-8", "replace")):
        raise ValueError(f"key name: at most {MAX_NAME} letters, digits, '_', and inside '-' and '.'")
    version = version_of(edk)
    if version is None:
        raise ValueError(f"encrypted data key: not vault:v<version>:<base64> of at most {MAX_EDK} bytes")
    return version


def to_text(message: bytes) -> str:
    """The text form of a message in one piece."""
    return _TEXT_PREFIX + base64.urlsafe_b64encode(message).rstrip(b"=").decode("ascii")


def from_text(text: str) -> bytes:
    """The message of a text form. A message has one text form, and a stream has none."""
    encoded = text[len(_TEXT_PREFIX) :]
    try:
        message = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidMessage from None
    if to_text(message) != text or _parse_fixed(message[: _FIXED.size])[0] != FIELD:
        raise InvalidMessage
    return message
