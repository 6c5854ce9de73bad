# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Go and Python come to the same verdict on every message, also on what Python sealed.

KEYLIFE_FUZZ tells how many altered messages to ask about (default: 10,000).
"""

import base64
import io
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from keylife import InvalidMessage, _envelope as envelope

CLIENT = Path(__file__).resolve().parents[2] / "client"
KEY = bytes(range(32))
EDK = "vault:v3:1yazmAc2BWxczpAO0yoTQE20sJlCWjLrqXW3Ickf7XP3Lyb6cGBI5enVcakbsmQbEA4GN6Trt6U2y//Q"
CONTEXT = {"table": "cards", "row": "17"}
NONE = {"parsed": False, "suite": 0, "key": "", "edk": "", "version": 0, "opened": False, "plaintext": None}


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """Asks Go about many questions at once."""
    if shutil.which("go") is None:
        pytest.skip("no go")
    program = tmp_path_factory.mktemp("go") / "verdict"
    subprocess.run(["go", "build", "-o", str(program), "./internal/kle1/verdict"], cwd=CLIENT, check=True)

    def ask(questions):
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def question(message, context=CONTEXT):
    asked = {"data_key": base64.b64encode(KEY).decode(), "context": context}
    if isinstance(message, str):
        return {**asked, "text": message}
    return {**asked, "message": base64.b64encode(message).decode()}


def verdict(message, context=CONTEXT):
    """What Go's verdict has to be."""
    try:
        header, body = envelope.parse(envelope.from_text(message) if isinstance(message, str) else message)
    except InvalidMessage:
        return NONE
    told = {"parsed": True, "suite": header.suite, "key": header.name, "edk": header.edk, "version": header.version}
    try:
        plaintext = open_message(envelope.DataKey(header.name, header.edk, KEY), header, body, context)
    except InvalidMessage:
        return {**told, "opened": False, "plaintext": None}
    return {**told, "opened": True, "plaintext": plaintext}


def open_message(key, header, body, context):
    if header.suite == envelope.FIELD:
        return key.open(envelope.Message(header, body), context)
    return key.reader(header, io.BytesIO(body), context).read()


def same(answer, expected):
    if answer["opened"]:
        answer = {**answer, "plaintext": base64.b64decode(answer["plaintext"] or "")}
    assert answer == expected


def sealed(plaintext, context=CONTEXT):
    return envelope.DataKey("orders", EDK, KEY).seal(plaintext, context)


def streamed(plaintext, context=CONTEXT):
    target = io.BytesIO()
    with envelope.DataKey("orders", EDK, KEY).writer(target, context) as stream:
        stream.write(plaintext)
    return target.getvalue()


@pytest.mark.parametrize("context", [{}, CONTEXT, {"é": "\U0001f511", "\uffff": "", "Z": "a\0"}, {str(i): "x" * i for i in range(40)}])
def test_go_opens_what_python_sealed(go, context):
    for size in (0, 1, 64, 100_000):
        plaintext = os.urandom(size)
        message = sealed(plaintext, context)
        for form in (message, envelope.to_text(message), streamed(plaintext, context)):
            (answer,) = go([question(form, context)])
            assert answer["opened"]
            assert base64.b64decode(answer["plaintext"] or "") == plaintext


@pytest.mark.parametrize("size", [(1 << 20) - 57, (1 << 20) - 56, (1 << 20) - 55, (2 << 20) - 72, (2 << 20) - 71])
def test_go_opens_streams_of_any_length(go, size):
    plaintext = os.urandom(size)
    (answer,) = go([question(streamed(plaintext))])
    assert answer["opened"]
    assert base64.b64decode(answer["plaintext"]) == plaintext


def test_both_open_a_stream_whose_last_segment_is_empty_behind_a_whole_one(go):
    """No writer makes it; whoever has the data key can. Tink opens it."""
    key = envelope.DataKey("orders", EDK, KEY)
    target = io.BytesIO()
    stream = key.writer(target, CONTEXT)
    stream.write(bytes((1 << 20) - 56))
    stream._flush(last=False)
    stream.close()
    (answer,) = go([question(target.getvalue())])
    assert answer["opened"]
    same(answer, verdict(target.getvalue()))


def mutants(seed, count):
    """Messages that were altered in one of many ways, and some that were not."""
    dice = random.Random(seed)
    whole = [sealed(b"4111111111111111"), sealed(b""), streamed(b"4111111111111111"), streamed(b"")]
    ways = [flip, overwrite, cut, insert, remove, splice, reframe, as_text, lambda dice, message, whole: message]
    for _ in range(count):
        message = dice.choice(whole)
        for _ in range(dice.choice((1, 1, 1, 2))):
            if isinstance(message, bytes) and message:
                message = dice.choice(ways)(dice, message, whole)
        yield message


def flip(dice, message, whole):
    at = dice.randrange(len(message))
    return message[:at] + bytes((message[at] ^ 1 << dice.randrange(8),)) + message[at + 1 :]


def overwrite(dice, message, whole):
    at = dice.randrange(min(len(message), 20))
    return message[:at] + dice.randbytes(dice.randrange(1, 4)) + message[at + 3 :]


def cut(dice, message, whole):
    return message[: dice.randrange(len(message))]


def insert(dice, message, whole):
    at = dice.randrange(len(message) + 1)
    return message[:at] + dice.choice((b"\0", b"\n", b"A", b".", b"/")) + message[at:]


def remove(dice, message, whole):
    at = dice.randrange(len(message))
    return message[:at] + message[at + 1 :]


def splice(dice, message, whole):
    at = dice.randrange(len(message))
    return message[:at] + dice.choice(whole)[at:]


NAMES = [b"", b"a", b"a.b", b"a..b", b".a", b"a.", b"a-", b"_", b"a/b", b"../a", b"a\n", b"a\0", "é".encode(), b"A" * 255]
EDKS = [b"", b"vault:v1:", b"vault:v1:A", b"vault:v01:A", b"vault:v0:A", b"vault:v2147483647:A", b"vault:v2147483648:A", b"vault:v99999999999999999999:A",
        b"vault:v+1:A", b"vault:v 1:A", b"vault:v1_0:A", b"vault:v1:A:B", b"vault:v1:A\n", b"vault:v1:=+/", b"vault:v1:-_", b"Vault:v1:A", b"vault:vA:A",
        b"vault:v1:" + b"A" * 4087, b"vault:v1:" + b"A" * 4088, "vault:v\u0661:A".encode()]


def reframe(dice, message, whole):
    """Another name and encrypted data key in a frame that is right, or nearly."""
    try:
        header, body = envelope.parse(message)
    except InvalidMessage:
        return message
    name = dice.choice([*NAMES, header.name.encode()])
    edk = dice.choice([*EDKS, header.edk.encode()])
    commitment = dice.choice([header.commitment] * 3 + [header.commitment[:-1], header.commitment + b"\0", bytes(32)])
    inner = bytes((len(name),)) + name + len(edk).to_bytes(2, "big") + edk + commitment
    suite = dice.choice([header.suite] * 3 + [0, 1, 2, 3])
    return b"KLE1" + bytes((suite,)) + (len(inner) + dice.choice((0, 0, 0, 1, -1))).to_bytes(2, "big") + inner + body


def as_text(dice, message, whole):
    text = envelope.to_text(message)
    at = dice.randrange(len(text))
    other = dice.choice("AZaz09-_+/=\n\r .é")
    return dice.choice([text, text[:at] + other + text[at:], text[:at] + other + text[at + 1 :], text[:-1], text[:-1] + other, text + "=", text.upper()])


def test_both_come_to_the_same_verdict(go):
    count = int(os.environ.get("KEYLIFE_FUZZ", "10000"))
    seed = random.randrange(1 << 32)
    opened = parsed = 0
    left = mutants(seed, count)
    while count > 0:
        some = [next(left) for _ in range(min(count, 5000))]
        count -= len(some)
        for message, answer in zip(some, go([question(message) for message in some])):
            expected = verdict(message)
            assert answer["parsed"] == expected["parsed"], (seed, message)
            same(answer, expected)
            opened += answer["opened"]
            parsed += answer["parsed"]
    assert opened > 0 and parsed > opened, "the alterations reach neither"
