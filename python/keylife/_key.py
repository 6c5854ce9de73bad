# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Key, as applications use it."""

import asyncio
import copy
from io import BufferedReader
from typing import Callable, Dict, List, Literal, NoReturn, Optional, Sequence, Tuple, TypeVar, Union, overload

from ._envelope import Context, DataKey
from ._files import Path, PathOrFile, open_stream, rewrap_file
from ._frame import FIELD, Header, Message, from_text, parse, rewrapped, to_text
from ._held import Opening
from ._keyring import Keyring
from ._metrics import ENGINE, LOCAL, Metrics, outcome_of
from ._streams import StreamWriter
from .errors import BatchError, InvalidMessage

_INLINE = 1 << 20  # bytes that an event loop is not held up for

AnyMessage = Union[bytes, str]
Contexts = Union[None, Context, Sequence[Optional[Context]]]
T = TypeVar("T")


class Key:
    """Encrypts and decrypts under one key of the engine. It may be used by many threads at once."""

    def __init__(self, client: object, ring: Keyring, metrics: Optional[Metrics]) -> None:
        self.name = ring.name
        self._client = client  # lives as long as its keys
        self._ring = ring
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    def encrypt(self, plaintext: bytes, context: Optional[Context] = None) -> bytes:
        """Encrypts at most 64 MiB to a message. The context is authenticated and not stored: whoever decrypts gives it again."""
        source = LOCAL
        try:
            if not isinstance(plaintext, bytes):
                plaintext = _bytes(plaintext, "plaintext")
            source = ENGINE
            protecting, source = self._ring.to_encrypt(len(plaintext))
            message = protecting.data_key.seal(plaintext, context)
        except Exception as error:
            self._failed("encrypt", source, error)
        if self._metrics is not None:
            self._metrics.operation(self.name, "encrypt", source, "ok")
        return message

    def encrypt_text(self, plaintext: Union[str, bytes], context: Optional[Context] = None) -> str:
        """Encrypts to the text form, for columns that take no bytes. A str is encoded as UTF-8."""
        return to_text(self.encrypt(plaintext.encode("utf-8") if isinstance(plaintext, str) else plaintext, context))

    def decrypt(self, message: AnyMessage, context: Optional[Context] = None) -> bytes:
        """Opens a message, in its binary or its text form."""
        source = LOCAL
        try:
            binary = message if isinstance(message, bytes) else _binary(message)
            end = 7 + (binary[5] << 8 | binary[6]) if len(binary) > 7 else 0  # of the head, see docs/envelope.md
            opening = self._ring.openings.by_head.get(binary[:end])
            if opening is not None and self._ring.use(opening):
                plaintext = opening.data_key.open_body(binary[end:], context)
            else:
                taken_apart = parse_field(binary)
                source = ENGINE
                data_key, source = self._data_key(taken_apart.header)
                plaintext = data_key.open(taken_apart, context)
        except Exception as error:
            self._failed("decrypt", source, error)
        if self._metrics is not None:
            self._metrics.operation(self.name, "decrypt", source, "ok")
        return plaintext

    def decrypt_text(self, message: AnyMessage, context: Optional[Context] = None) -> str:
        """Opens a message whose plaintext is UTF-8."""
        return self.decrypt(message, context).decode("utf-8")

    def decrypt_many(self, messages: Sequence[AnyMessage], contexts: Contexts = None) -> List[bytes]:
        """Opens messages; data keys that are not in memory are asked for in one request. Contexts are one for all, or one for each.

        Raises BatchError if some do not open.
        """
        each = _each(contexts, len(messages))
        parsed = [_attempt(lambda message=message: parse_field(_binary(message))) for message in messages]  # type: ignore[misc]
        found = self._ring.to_open([item.header.edk for item in parsed if isinstance(item, Message)])
        results: List[Optional[bytes]] = []
        errors: Dict[int, Exception] = {}
        for index, (item, context) in enumerate(zip(parsed, each)):
            answer, source = found[item.header.edk] if isinstance(item, Message) else (item, LOCAL)
            result = _attempt(lambda: _opened(answer, item, context))
            if isinstance(result, Exception):
                errors[index] = result
            results.append(None if isinstance(result, Exception) else result)
            self._note("decrypt", source, result)
        return _whole(results, errors)

    def rewrap(self, messages: Sequence[AnyMessage]) -> List[AnyMessage]:
        """Puts messages under the newest version, each in the form it had. Neither data key nor plaintext is seen, and bodies stay.

        Raises BatchError if some cannot be.
        """
        parsed = [_attempt(lambda message=message: parse(_binary(message))) for message in messages]  # type: ignore[misc]
        answers = self._ring.rewrap([item.header.edk for item in parsed if isinstance(item, Message)])
        results: List[Optional[AnyMessage]] = []
        errors: Dict[int, Exception] = {}
        for index, (item, message) in enumerate(zip(parsed, messages)):
            answer = answers[item.header.edk] if isinstance(item, Message) else item
            result = _attempt(lambda: _rewrapped(answer, message))
            if isinstance(result, Exception):
                errors[index] = result
            results.append(None if isinstance(result, Exception) else result)
            self._note("rewrap", ENGINE if isinstance(item, Message) else LOCAL, result)
        return _whole(results, errors)

    @overload
    def open(self, file: PathOrFile, mode: Literal["rb"], context: Optional[Context] = None) -> BufferedReader:
        ...

    @overload
    def open(self, file: PathOrFile, mode: Literal["wb"], context: Optional[Context] = None) -> StreamWriter:
        ...

    def open(self, file: PathOrFile, mode: str, context: Optional[Context] = None) -> Union[BufferedReader, StreamWriter]:
        """Opens a stream to be read (rb) or written (wb). What is read is authenticated; that nothing is missing is known at its end.

        A file with a name takes the place of what was there when it is closed, and not at all where a with block is left by an
        exception; a file that the caller opened stays open, and does not open to its end then. Only the innermost with block
        sees the exception: a wrapper such as io.TextIOWrapper closes what is below it, and so ends the stream.
        """
        return open_stream(self, file, mode, context)

    def rewrap_file(self, path: Path) -> None:
        """Puts the message in a file, of any size, under the newest version. Its body is copied and not opened."""
        rewrap_file(self.rewrap, path)

    def version(self) -> int:
        """The version that encrypt uses now."""
        return self._ring.version()

    def refresh(self) -> None:
        """Asks the engine now for what it would be asked for in time: a new data key, and proofs of those in use."""
        self._ring.refresh()

    # For event loops: what needs no request is done at once, and everything else in a thread.

    async def aencrypt(self, plaintext: bytes, context: Optional[Context] = None) -> bytes:
        if self._ring.warm_to_encrypt() and len(plaintext) <= _INLINE:
            return self.encrypt(plaintext, context)
        return await asyncio.to_thread(self.encrypt, plaintext, context)

    async def aencrypt_text(self, plaintext: Union[str, bytes], context: Optional[Context] = None) -> str:
        if self._ring.warm_to_encrypt() and len(plaintext) <= _INLINE:
            return self.encrypt_text(plaintext, context)
        return await asyncio.to_thread(self.encrypt_text, plaintext, context)

    async def adecrypt(self, message: AnyMessage, context: Optional[Context] = None) -> bytes:
        if self._warm_to_decrypt([message]):
            return self.decrypt(message, context)
        return await asyncio.to_thread(self.decrypt, message, context)

    async def adecrypt_text(self, message: AnyMessage, context: Optional[Context] = None) -> str:
        if self._warm_to_decrypt([message]):
            return self.decrypt_text(message, context)
        return await asyncio.to_thread(self.decrypt_text, message, context)

    async def adecrypt_many(self, messages: Sequence[AnyMessage], contexts: Contexts = None) -> List[bytes]:
        if self._warm_to_decrypt(messages):
            return self.decrypt_many(messages, contexts)
        return await asyncio.to_thread(self.decrypt_many, messages, contexts)

    def _warm_to_decrypt(self, messages: Sequence[AnyMessage]) -> bool:
        """Whether decrypting asks nobody. A message that is none is told at once too."""
        if sum(map(len, messages)) > _INLINE:
            return False
        parsed = (_attempt(lambda message=message: parse_field(_binary(message))) for message in messages)  # type: ignore[misc]
        return all(self._ring.warm_to_open(item.header.edk) for item in parsed if isinstance(item, Message))

    # What streams need.

    def protecting_data_key(self) -> Tuple[DataKey, Callable[[int], None]]:
        """The data key that encrypts a stream, and what is told of the bytes that it did. The stream is counted as a message."""
        try:
            protecting, source = self._ring.to_encrypt(0)
        except Exception as error:
            self._failed("encrypt", ENGINE, error)
        self._note("encrypt", source, None)
        return protecting.data_key, protecting.count

    def data_key_for(self, header: Header) -> DataKey:
        """The data key of a message."""
        try:
            data_key, source = self._data_key(header)
        except Exception as error:
            self._failed("decrypt", ENGINE, error)
        self._note("decrypt", source, None)
        return data_key

    def _data_key(self, header: Header) -> Tuple[DataKey, str]:
        answer, source = self._ring.to_open([header.edk])[header.edk]
        if isinstance(answer, Opening):
            return answer.data_key, source
        raise copy.copy(answer)

    def _note(self, op: str, source: str, result: object) -> None:
        if self._metrics is not None:
            self._metrics.operation(self.name, op, source, outcome_of(result) if isinstance(result, Exception) else "ok")

    def _failed(self, op: str, source: str, error: Exception) -> NoReturn:
        self._note(op, source, error)
        raise error


def parse_field(message: bytes) -> Message:
    """Takes a message in one piece apart."""
    taken_apart = parse(message)
    if taken_apart.header.suite != FIELD:
        raise InvalidMessage
    return taken_apart


def _binary(message: AnyMessage) -> bytes:
    return from_text(message) if isinstance(message, str) else _bytes(message, "message")


def _bytes(value: object, field: str) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"{field}: {type(value).__name__}, want bytes")


def _each(contexts: Contexts, count: int) -> Sequence[Optional[Context]]:
    """The context of each message."""
    if contexts is None or hasattr(contexts, "items"):
        return [contexts] * count  # type: ignore[list-item]
    if len(contexts) != count:
        raise ValueError(f"contexts: {len(contexts)} for {count} messages, want one for all or one for each")
    return contexts


def _attempt(do: Callable[[], T]) -> Union[T, Exception]:
    try:
        return do()
    except Exception as error:
        return error


def _opened(answer: object, message: object, context: Optional[Context]) -> bytes:
    if isinstance(answer, Opening) and isinstance(message, Message):
        return answer.data_key.open(message, context)
    assert isinstance(answer, Exception)
    raise copy.copy(answer)


def _rewrapped(answer: object, message: AnyMessage) -> AnyMessage:
    if not isinstance(answer, str):
        assert isinstance(answer, Exception)
        raise copy.copy(answer)
    binary = rewrapped(_binary(message), answer)
    return to_text(binary) if isinstance(message, str) else binary


def _whole(results: List[Optional[T]], errors: Dict[int, Exception]) -> List[T]:
    if errors:
        raise BatchError(results, errors)
    return results  # type: ignore[return-value]
