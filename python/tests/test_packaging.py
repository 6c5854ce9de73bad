# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""What is built from here can be installed and used, without a network."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
USE = """
import keylife, pathlib, sys
assert pathlib.Path(keylife.__file__).is_relative_to(sys.prefix), keylife.__file__
from keylife.testing import FakeVault
vault = FakeVault("orders")
with vault.client() as client:
    key = client.key("orders")
    assert key.decrypt(key.encrypt(b"x", {"a": "b"}), {"a": "b"}) == b"x"
"""


def run(*command, cwd):
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    env.update(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy, since building leaves its traces."""
    copy = tmp_path_factory.mktemp("source") / "python"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "tests"))
    return copy


def expected():
    return {str(path.relative_to(HERE)) for path in (HERE / "keylife").rglob("*") if path.suffix == ".py" or path.name == "py.typed"}


def test_the_wheel_has_all_of_it(source, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source), cwd=tmp_path)
    (wheel,) = tmp_path.glob("keylife-0.1.0-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        (metadata,) = (files.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert {name for name in names if name.startswith("keylife/")} == expected()
    assert any(name.endswith("/LICENSE") for name in names)
    needs = (r"Requires-Dist: hvac \(?>=0\.11\.2\)?", r"Requires-Dist: cryptography \(?>=38\)?")
    for line in ("License: MPL-2.0", "Provides-Extra: django", *needs):
        assert re.search(f"^{line}$", metadata, re.MULTILINE), metadata


def test_the_source_distribution_has_all_of_it(source, tmp_path):
    build = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    run(sys.executable, "-c", build, cwd=source)
    (archive,) = tmp_path.glob("keylife-0.1.0.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert expected() | {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_what_is_installed_works(source, tmp_path):
    run(sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(tmp_path / "venv"), cwd=tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", str(source), cwd=tmp_path)
    run(python, "-c", USE, cwd=tmp_path)
    assert "inspect" in run(python, "-m", "keylife", "--help", cwd=tmp_path)


def test_the_licence_is_that_of_the_project():
    assert (HERE / "LICENSE").read_bytes() == (HERE.parent / "LICENSE").read_bytes()
