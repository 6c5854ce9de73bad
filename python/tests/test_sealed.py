# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The sealed file: that of Go opens, and what is not to be believed is refused and deleted."""

import json
import os
from pathlib import Path

import pytest

from keylife import _sealed as sealed

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "client" / "testdata" / "sealed.json").read_text())
NOW = VECTORS["written"]
BINDING = sealed.Binding(VECTORS["address"], VECTORS["namespace"], VECTORS["mount"])
KEY = sealed.KeptKey("orders", "vault:v1:AAAA", b"k" * 32, 5, 6, 7, 8, 9)


def sealing_key():
    return bytes.fromhex(VECTORS["sealing_key"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys"


def at(path, sealer=sealing_key, binding=BINDING, keep=3600.0):
    return sealed.SealedFile(path, sealer, binding, keep)


def put(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)


def test_the_file_that_go_wrote(path):
    put(path, bytes.fromhex(VECTORS["file"]))
    keys = at(path).load(NOW)
    assert [{**key._asdict(), "key": key.key} for key in keys] == [
        {**key, "key": sealed.base64.b64decode(key["key"])} for key in VECTORS["keys"]
    ]


def test_what_was_kept_comes_back(path, tmp_path):
    at(path).save(NOW + 0.9, [KEY])
    assert path.stat().st_mode & 0o777 == 0o600
    assert at(path).load(NOW) == [KEY]
    assert at(path).load(NOW + 3600) == [KEY]
    at(path).save(NOW, [])
    assert at(path).load(NOW) == []
    assert os.listdir(tmp_path) == ["keys"]
    assert KEY.edk not in repr(KEY) and repr(KEY.key) not in repr([KEY])


def flipped(path, at_byte):
    content = bytearray(path.read_bytes())
    content[at_byte] ^= 1
    put(path, bytes(content))


@pytest.mark.parametrize("alter, load, said", [
    (lambda path: flipped(path, 0), {}, "altered"),
    (lambda path: flipped(path, 4), {}, "altered"),
    (lambda path: flipped(path, -1), {}, "altered"),
    (lambda path: put(path, path.read_bytes()[:-1]), {}, "altered"),
    (lambda path: put(path, path.read_bytes()[:20]), {}, "altered"),
    (lambda path: put(path, b""), {}, "altered"),
    (lambda path: path.chmod(0o640), {}, "its mode is 0o640"),
    (lambda path: None, {"sealer": lambda: b"x" * 32}, "altered"),
    (lambda path: None, {"binding": BINDING._replace(address="https://other:8200")}, "altered"),
    (lambda path: None, {"binding": BINDING._replace(namespace="other")}, "altered"),
    (lambda path: None, {"binding": BINDING._replace(mount="other")}, "altered"),
    (lambda path: None, {"now": NOW - 1}, "not yet"),
    (lambda path: None, {"now": NOW + 3601}, "longer than 3600 seconds ago"),
])
def test_what_is_not_believed_is_deleted(path, alter, load, said):
    at(path).save(NOW, [KEY])
    alter(path)
    now = load.pop("now", NOW)
    with pytest.raises(sealed.Refused, match=said):
        at(path, **load).load(now)
    assert not path.exists()


SHORT = '{"written":1,"keys":[{"name":"a","edk":"b","key":"AAAA","protect":0,"process":0,"messages":0,"bytes":0,"made":0}]}'


@pytest.mark.parametrize("content", ["[]", "{}", '{"written":1}', '{"written":1,"keys":[{}]}', SHORT, "\xff"])
def test_a_content_that_cannot_be_read_is_refused(path, content):
    aead = sealed.AESGCM(sealing_key())
    put(path, b"KLC1" + bytes(12) + aead.encrypt(bytes(12), content.encode("latin-1"), at(path)._aad))
    with pytest.raises(sealed.Refused, match="cannot be read"):
        at(path).load(NOW)


def test_no_file_and_no_regular_file(path):
    with pytest.raises(FileNotFoundError):
        at(path).load(NOW)
    at(path).remove()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        at(path).load(NOW)
    assert path.exists()


@pytest.mark.parametrize("given, said", [(b"short", "want 32 bytes, got 5"), ("s" * 32, "want 32 bytes, got str")])
def test_a_sealing_key_of_another_size_is_an_error_that_does_not_tell_it(path, given, said):
    with pytest.raises(ValueError, match=said) as told:
        at(path, sealer=lambda: given).save(NOW, [KEY])
    assert str(given) not in str(told.value)


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_file_before(path, tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError("no space left")

    at(path).save(NOW, [KEY])
    where = sealed.Replacement if step == "write" else os
    with monkeypatch.context() as broken:
        broken.setattr(where, step, fail)
        with pytest.raises(OSError, match="no space left"):
            at(path).save(NOW, [])
    assert at(path).load(NOW) == [KEY]
    assert os.listdir(tmp_path) == ["keys"]
