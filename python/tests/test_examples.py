# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The examples run, and print what they are there to show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "python"

RUN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("example", sys.argv[1])
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
from keylife.testing import FakeVault
vault = FakeVault("orders")
with vault.client() as client:
    example.main(client)
"""


@pytest.mark.parametrize("name, shown", [
    ("fields", ["stored: kle1.", "is: Info(stream=False, key='orders', version=1)", "'5500 0000 0000 0004'", "row: invalid message"]),
    ("sqlalchemy_fields", [
        "read: 4111 1111 1111 1111 None", "read: 5500 0000 0000 0004 {'city': 'Graz'}", "stored: gAAAA", "stored: kle1.",
        "now: Info(stream=False, key='orders', version=1)", "refused: cards.number",
    ]),
    ("django_fields", [
        "read: 4111 1111 1111 1111 {'city': 'Graz'}", "stored: kle1.", "refused: keylife.Order.number", "kle1 orders v1: 1",
        "under the newest version: 1",
    ]),
])
def test_an_example_shows_what_it_says(name, shown):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", RUN, str(EXAMPLES / f"{name}.py")], env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for text in shown:
        assert text in ran.stdout
