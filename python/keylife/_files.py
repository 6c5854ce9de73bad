# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Key.open: a stream of KLE1 as a file that is read or written. Files with names are replaced as a whole or not at all."""

import io
import os
import shutil
from typing import BinaryIO, Callable, Optional, Protocol, Sequence, Tuple, Union

from ._atomic import Replacement, replaceable
from ._envelope import Context, DataKey
from ._frame import Header, parse, read, read_header
from ._streams import SEGMENT, StreamWriter, write_all
from .errors import BatchError

Path = Union[str, "os.PathLike[str]"]
PathOrFile = Union[Path, BinaryIO]
Used = Callable[[int], None]  # counts bytes that a data key encrypted

_FIRST = 8 << 10  # bytes, more than the longest header and the shortest body


class DataKeys(Protocol):
    """What a key gives for its streams."""

    def protecting_data_key(self) -> Tuple[DataKey, Used]:
        """The data key that encrypts, and what is to be told of the bytes that it did."""

    def data_key_for(self, header: Header) -> DataKey:
        """The data key of a message."""


def open_stream(keys: DataKeys, what: PathOrFile, mode: str, context: Optional[Context]) -> Union[io.BufferedReader, StreamWriter]:
    if mode == "rb":
        return _reader(keys, what, context)
    if mode == "wb":
        return _writer(keys, what, context)
    raise ValueError(f"mode: {mode!r}, want 'rb' or 'wb': a message is bytes; io.TextIOWrapper makes text of what is read")


def _reader(keys: DataKeys, what: PathOrFile, context: Optional[Context]) -> io.BufferedReader:
    source, end = _source(what)
    try:
        header = read_header(source)
        stream = keys.data_key_for(header).reader(header, source, context)
    except BaseException:
        end()
        raise
    stream.ended = end
    return io.BufferedReader(stream, 1 << 16)


def _source(what: PathOrFile) -> Tuple[BinaryIO, Callable[[], None]]:
    """What is read, and what ends that: nothing for a file that the caller opened."""
    if not isinstance(what, (str, os.PathLike)):
        return _readable(what), lambda: None
    file = open(what, "rb", buffering=0)
    return file, file.close


def _readable(file: BinaryIO) -> BinaryIO:
    if isinstance(file, io.TextIOBase) or not hasattr(file, "read"):
        raise TypeError("file: want a path or a file that was opened in binary mode")
    return file


def _writer(keys: DataKeys, what: PathOrFile, context: Optional[Context]) -> StreamWriter:
    data_key, used = keys.protecting_data_key()
    target, end = _target(what)
    try:
        stream = data_key.writer(target, context)
    except BaseException:
        end(False)
        raise
    stream.written, stream.ended = used, end
    return stream


def _target(what: PathOrFile) -> Tuple[BinaryIO, Callable[[bool], None]]:
    """What is written to, and what ends that, whole or not."""
    if not isinstance(what, (str, os.PathLike)):
        if isinstance(what, io.TextIOBase) or not hasattr(what, "write"):
            raise TypeError("file: want a path or a file that was opened in binary mode")
        return what, lambda whole: None
    path = os.fspath(what)
    if not replaceable(path):
        device = open(path, "wb", buffering=0)
        return device, lambda whole: device.close()
    file = Replacement(path)
    return file, lambda whole: file.commit() if whole else file.discard()  # type: ignore[return-value]


def rewrap_file(rewrap: Callable[[Sequence[bytes]], Sequence[Union[bytes, str]]], path: Path) -> None:
    """Puts the message in a file under the newest version. Its body is copied and not opened, so it may be of any size."""
    with open(path, "rb", buffering=0) as source:
        first = read(source, _FIRST)
        parse(first)
        try:
            (head,) = rewrap([first])
        except BatchError as error:
            raise error.errors[0] from None
        target = Replacement(os.fspath(path))
        try:
            write_all(target, head)  # type: ignore[arg-type]
            shutil.copyfileobj(source, target, SEGMENT)
        except BaseException:
            target.discard()
            raise
        target.commit()
