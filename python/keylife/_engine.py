# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Asks keylife or Transit for data keys and sorts the answers. It keeps no data key and tries again only after a login."""

import base64
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union

from ._frame import KEY_SIZE, version_of
from ._http import Answer, Http, unreadable
from ._session import Session
from .errors import AccessDenied, InvalidMessage, KeylifeError, KeyStateError

MAX_BATCH = 256  # encrypted data keys in one request
_CODE = re.compile(r"\[(version|key)_([a-z_]+)\]\Z")
_INVALID = ("invalid ciphertext", "message authentication failed")


class Made(NamedTuple):
    """A data key that the engine made."""

    edk: str
    key: bytes
    version: int

    def __repr__(self) -> str:
        return "data key [redacted]"


class Engine:
    """Errors of its methods are Unavailable, AccessDenied and KeyStateError, and are about the whole request."""

    def __init__(self, http: Http, session: Session, mount: str) -> None:
        self._http = http
        self._session = session
        self._mount = mount

    def make(self, key: str, until: float) -> Made:
        """A new data key."""
        data = self._data(self._ask(key, "datakey", "datakey/plaintext", {"bits": 256}, until), key)
        edk, plaintext = data.get("ciphertext"), _decoded(data.get("plaintext"))
        version = version_of(edk) if isinstance(edk, str) else None
        if version is None or plaintext is None or len(plaintext) != KEY_SIZE:
            raise unreadable()
        return Made(str(edk), plaintext, version)

    def open(self, key: str, edks: Sequence[str], until: float) -> List[Union[bytes, KeylifeError]]:
        """What at most MAX_BATCH encrypted data keys are."""
        # Whoever may encrypt can put anything there: it spoils no other.
        return [InvalidMessage() if isinstance(item, bytes) and len(item) != KEY_SIZE else item for item in self.decrypt(key, edks, until)]

    def decrypt(self, key: str, ciphertexts: Sequence[str], until: float) -> List[Union[bytes, KeylifeError]]:
        """What at most MAX_BATCH ciphertexts are, whatever they hold."""
        return [self._opened(key, each, item) for each, item in zip(ciphertexts, self._batch(key, "decrypt", ciphertexts, until))]

    def rewrap(self, key: str, edks: Sequence[str], until: float) -> List[Union[str, KeylifeError]]:
        """At most MAX_BATCH encrypted data keys under the newest version."""
        return [self._rewrapped(key, edk, item) for edk, item in zip(edks, self._batch(key, "rewrap", edks, until))]

    def _opened(self, key: str, edk: str, item: Dict[str, Any]) -> Union[bytes, KeylifeError]:
        if item.get("error"):
            return _refused(key, edk, item["error"])
        plaintext = _decoded(item.get("plaintext"))
        if plaintext is None:
            raise unreadable()
        return plaintext

    def _rewrapped(self, key: str, edk: str, item: Dict[str, Any]) -> Union[str, KeylifeError]:
        if item.get("error"):
            return _refused(key, edk, item["error"])
        ciphertext = item.get("ciphertext")
        if not isinstance(ciphertext, str) or version_of(ciphertext) is None:
            raise unreadable()
        return ciphertext

    def _batch(self, key: str, op: str, edks: Sequence[str], until: float) -> List[Dict[str, Any]]:
        body = {"batch_input": [{"ciphertext": edk} for edk in edks], "partial_failure_response_code": 200}
        answer = self._ask(key, op, op, body, until)
        data = answer.body.get("data")
        items = data.get("batch_results") if isinstance(data, dict) else None
        if answer.status == 400 and not items:
            raise _refused_whole(key, answer)
        if not isinstance(items, list) or len(items) != len(edks) or not all(isinstance(item, dict) for item in items):
            raise unreadable()
        return items

    def _data(self, answer: Answer, key: str) -> Dict[str, Any]:
        if answer.status >= 400:
            raise _refused_whole(key, answer)
        data = answer.body.get("data")
        if not isinstance(data, dict):
            raise unreadable()
        return data

    def _ask(self, key: str, op: str, path: str, body: Dict[str, Any], until: float) -> Answer:
        """Sends a request; where the token is refused, once more with one of a new login. Answers of it are 200 and 400."""
        token = self._session.token(until)
        answer = self._send(key, op, path, body, token, until)
        if answer.status in (401, 403):
            another = self._session.after_refusal(token, key, until)
            if another is not None:
                answer = self._send(key, op, path, body, another, until)
        if answer.status in (401, 403):
            raise AccessDenied(f'{op} of key "{key}": access denied: {answer.errors}')
        if answer.status > 400:
            raise _refused_whole(key, answer)
        return answer

    def _send(self, key: str, op: str, path: str, body: Dict[str, Any], token: str, until: float) -> Answer:
        return self._http.ask("post", f"{self._mount}/{path}/{key}", body, token, until, (key, op))


def _decoded(text: Any) -> Optional[bytes]:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None


def _refused(key: str, edk: str, text: Any) -> KeylifeError:
    """What a batch says of an encrypted data key that did not decrypt."""
    text = " ".join(str(text).split())
    code = _CODE.search(text)
    if code is None:
        return InvalidMessage() if any(part in text for part in _INVALID) else KeyStateError(key, 0, "", text)
    return KeyStateError(key, (version_of(edk) or 0) if code[1] == "version" else 0, code[2], text)


def _refused_whole(key: str, answer: Answer) -> KeyStateError:
    code = _CODE.search(answer.errors)
    return KeyStateError(key, 0, code[2] if code else "", answer.errors)
