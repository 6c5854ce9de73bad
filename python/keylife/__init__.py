# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""For applications that encrypt locally with data keys of keylife or Transit.

So far it tells what a message is. The format is specified in docs/envelope.md.
"""

from typing import NamedTuple, Union

from ._frame import STREAM, InvalidMessage, from_text, parse

__all__ = ["Info", "InvalidMessage", "inspect"]


class Info(NamedTuple):
    """What a message tells without a key. Nothing of it is authenticated."""

    stream: bool
    key: str
    version: int


def inspect(message: Union[bytes, str]) -> Info:
    """Reads the header of a message, in its binary or its text form. It needs no key and asks nobody."""
    header = parse(from_text(message) if isinstance(message, str) else message).header
    return Info(header.suite == STREAM, header.name, header.version)
