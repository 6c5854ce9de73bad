# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Rewrapping a column of SQLite, by python -m keylife."""

import io
import random
import sqlite3
from collections import Counter

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

import keylife
from keylife import __main__ as command, _rewrap, legacy
from keylife._column import ColumnCipher, each_of, message_of
from keylife._frame import parse
from keylife._rewrap import Rewrap, Run
from keylife._rewrap_command import Progress
from keylife._rewrap_sql import SqlSource
from keylife.testing import FakeVault

OLD = Fernet(Fernet.generate_key())
CONTEXT = {"table": "cards", "column": "number"}


def readers():
    return [OLD, legacy.Plain()]


@pytest.fixture
def vault():
    return FakeVault("orders", "payments")


class Table:
    """A file of SQLite with a table of cards, and its rows as an application sees them."""

    def __init__(self, path, vault):
        self.url, self.path, self.vault = f"sqlite:///{path}", path, vault
        self.execute("CREATE TABLE cards (id INTEGER PRIMARY KEY, number, other TEXT)")

    def execute(self, sql, *values):
        with sqlite3.connect(self.path) as connection:
            return connection.execute(sql, values).fetchall()

    def put(self, *values):
        for value in values:
            self.execute("INSERT INTO cards (number) VALUES (?)", value)

    def fill(self, writers=3, rows=30, text=True, key="orders"):
        for writer in range(writers):
            with self.vault.client() as client:
                cipher = self.cipher(client, key)
                self.put(*(cipher.write(f"{writer}.{i}".encode(), text) for i in range(rows // writers)))

    def cipher(self, client, key="orders", *legacy_readers):
        return ColumnCipher("cards.number", lambda: client.key(key), CONTEXT, legacy.readers(legacy_readers))

    def stored(self):
        return [value for (value,) in self.execute("SELECT number FROM cards ORDER BY id")]

    def versions(self):
        return Counter(keylife.inspect(value).version for value in self.stored())

    def plaintexts(self):
        with self.vault.client() as client:
            return self.cipher(client).read_many(self.stored())

    def source(self):
        return SqlSource(sa.create_engine(self.url), "cards", "number", "id")

    def run(self, *options):
        out = io.StringIO()
        arguments = ["rewrap", "--database", self.url, "--table", "cards", "--column", "number", "--key", "orders", *options]
        return command.main(arguments, client=lambda mount: self.vault.client(), out=out), out.getvalue()


@pytest.fixture
def cards(tmp_path, vault):
    return Table(tmp_path / "cards.sqlite", vault)


def asked(vault):
    return {op: count for op, count in vault.requests.items() if count and op in ("datakey", "decrypt", "rewrap")}


@pytest.mark.parametrize("text", [True, False])
def test_rewrap_needs_no_other_right_and_asks_once_for_a_data_key(cards, vault, text):
    cards.fill(text=text)
    before = cards.plaintexts()
    vault.rotate("orders")
    for op in ("decrypt", "datakey"):
        vault.deny("orders", op)
    vault.requests.clear()
    code, said = cards.run("--batch", "4")
    assert (code, asked(vault)) == (0, {"rewrap": 3})
    assert "30 rows\nfound:\n  kle1 orders v1: 30\nbecame:\n  changed: 30\n" == said
    for op in ("decrypt", "datakey"):
        vault.allow("orders", op)
    assert cards.versions() == {2: 30} and cards.plaintexts() == before
    assert {type(value) for value in cards.stored()} == {str if text else bytes}
    vault.requests.clear()
    with vault.client() as client:
        column = cards.cipher(client)
        assert [column.read(value) for value in cards.stored()] == before
    assert asked(vault) == {"decrypt": 3}, "rows that shared a data key must go on sharing it"


def test_a_page_is_one_request(cards, vault):
    cards.fill()
    vault.rotate("orders")
    vault.requests.clear()
    cards.run()
    assert asked(vault) == {"rewrap": 1}


def test_what_is_new_is_neither_asked_for_nor_written(cards, vault):
    cards.fill()
    vault.rotate("orders")
    cards.run()
    stored = cards.stored()
    vault.requests.clear()
    code, said = cards.run("--batch", "10")
    assert code == 0 and "under the newest version: 30" in said
    assert cards.stored() == stored
    assert asked(vault) == {"rewrap": 1}, "the first page tells what is new"


def test_a_rotation_meanwhile_is_found_by_running_again(cards, vault):
    cards.fill(writers=1)
    vault.rotate("orders")

    class Rotating(SqlSource):
        pages = 0

        def page(self, after, size):
            self.pages += 1
            if self.pages == 2:
                vault.rotate("orders")
            return super().page(after, size)

    with vault.client() as client:
        cipher = cards.cipher(client)
        assert Run(Rotating(sa.create_engine(cards.url), "cards", "number", "id"), cipher, Rewrap(cipher), batch=10)().whole
    assert set(cards.versions()) == {2}
    cards.run()
    assert cards.versions() == {3: 30}


def test_a_run_that_was_killed_is_ended_by_running_again(cards, vault):
    cards.fill()
    before = cards.plaintexts()
    vault.rotate("orders")
    for page in range(1, 6):

        class Dying(SqlSource):
            swaps = 0

            def _swap(self, connection, row, new):
                self.swaps += 1
                if self.swaps == 2 + 5 * (page % 2):
                    raise KeyboardInterrupt
                return super()._swap(connection, row, new)

        with vault.client() as client, pytest.raises(KeyboardInterrupt):
            cipher = cards.cipher(client)
            Run(Dying(sa.create_engine(cards.url), "cards", "number", "id"), cipher, Rewrap(cipher), batch=5)()
        assert cards.plaintexts() == before
        assert cards.versions()[1] % 5 == 0, "a page is written as a whole or not at all"
    assert 0 < cards.versions()[1] < 30
    assert cards.run()[0] == 0
    assert cards.versions() == {2: 30} and cards.plaintexts() == before


@pytest.mark.parametrize("mode", [(), ("--reencrypt",)])
def test_what_others_write_meanwhile_is_left(cards, vault, mode, monkeypatch):
    cards.fill()
    vault.rotate("orders")
    dice = random.Random(1)
    written = {}
    swap = SqlSource._swap

    def racing(self, connection, row, new):
        if dice.random() < 0.3:
            written[row.id] = row.id % 2
            change = "UPDATE cards SET number = 'theirs' WHERE id = :id" if row.id % 2 else "DELETE FROM cards WHERE id = :id"
            connection.execute(sa.text(change), {"id": row.id})
        return swap(self, connection, row, new)

    monkeypatch.setattr(SqlSource, "_swap", racing)
    code, said = cards.run(*mode)
    assert code == 1 and f"changed or deleted by others meanwhile: {len(written)}" in said and f"  changed: {30 - len(written)}" in said
    assert {id for (id,) in cards.execute("SELECT id FROM cards WHERE number = 'theirs'")} == {id for id, kept in written.items() if kept}
    assert len(cards.stored()) == 30 - sum(1 for kept in written.values() if not kept)


def test_reencrypt_converts_and_replaces_data_keys(cards, vault):
    cards.fill(writers=2, rows=20)
    cards.put(OLD.encrypt(b"a").decode(), OLD.encrypt(b"b"), "plain", None)
    before = {edk(value) for value in cards.stored()[:20]}
    vault.rotate("orders")
    vault.requests.clear()
    code, said = cards.run("--reencrypt", "--legacy", f"{__name__}:readers")
    assert (code, asked(vault)["decrypt"]) == (0, 1), said
    assert "  fernet: 2\n  kle1 orders v1: 20\n  plain: 1\nbecame:\n  changed: 23" in said
    values = [value for value in cards.stored() if value is not None]
    assert cards.stored()[-1] is None and {keylife.inspect(value).version for value in values} == {2}
    assert not before & {edk(value) for value in values}
    with vault.client() as client:
        assert cards.cipher(client).read_many(values)[20:] == [b"a", b"b", b"plain"]
    assert isinstance(values[21], bytes)
    again = cards.stored()
    assert cards.run("--reencrypt")[0] == 0 and cards.stored() == again
    assert "changed: 23" in cards.run("--reencrypt", "--all")[1] and not set(again) - {None} & set(cards.stored())


def edk(value):
    return parse(message_of(value)).header.edk


def test_a_census_needs_no_vault(cards, vault):
    cards.fill(rows=9)
    cards.fill(writers=1, rows=2, key="payments")
    cards.put(OLD.encrypt(b"a"), "plain", "kle1.cut", None)
    vault.set_outage("down")
    code, said = cards.run("--census", "--legacy", f"{__name__}:OLDS")
    assert code == 1
    assert said.splitlines()[:6] == ["14 rows", "found:", "  fernet: 1", "  kle1 orders v1: 9", "  kle1 payments v1: 2", "  unreadable: 2"]
    assert "plain" not in said and "kle1.cut" not in said


OLDS = [OLD]


@pytest.mark.parametrize("mode", [(), ("--reencrypt",)])
def test_a_dry_run_writes_nothing(cards, vault, mode):
    cards.fill()
    vault.rotate("orders")
    before = cards.stored()
    code, said = cards.run("--dry-run", *mode)
    assert code == 0 and "30 rows (dry run: nothing was written)" in said and "changed: 30" in said
    assert cards.stored() == before


@pytest.mark.parametrize("mode", [(), ("--reencrypt",)])
def test_one_row_that_fails_is_told_and_the_others_go_on(cards, vault, mode):
    cards.fill(writers=1, rows=3)
    vault.rotate("orders")
    cards.fill(writers=1, rows=3)
    vault.rotate("payments")
    cards.fill(writers=1, rows=1, key="payments")
    cards.put("garbage")
    vault.rotate("orders")
    vault.set_state("orders", 1, "archived")
    code, said = cards.run(*mode)
    assert code == 1
    assert "row 1: key \"orders\", version 1: " in said and "[version_archived]" in said
    assert "row 7: invalid message" in said and "row 8: unreadable" in said
    assert "  changed: 3\n" in said


@pytest.mark.parametrize("mode", [(), ("--reencrypt",)])
def test_what_is_about_all_rows_ends_the_run(cards, vault, mode, capsys):
    cards.fill()
    vault.rotate("orders")
    before = cards.stored()
    vault.deny("orders", "rewrap")
    vault.deny("orders", "decrypt")
    code, said = cards.run(*mode)
    assert code == 3 and said.startswith("0 rows")
    assert capsys.readouterr().err.startswith("cards.number: ")
    assert cards.stored() == before


def test_what_the_database_says_ends_the_run_without_values(cards, vault, capsys):
    cards.fill(rows=3)
    vault.rotate("orders")
    cards.execute("CREATE TRIGGER no BEFORE UPDATE ON cards BEGIN SELECT RAISE(ABORT, 'read only'); END")
    code, _ = cards.run()
    said = capsys.readouterr().err
    assert code == 3 and "read only" in said and "kle1." not in said
    assert cards.run("--table", "nothing")[0] == 3
    assert "nothing" in capsys.readouterr().err
    assert cards.run("--database", "no-such:///x")[0] == 3
    assert capsys.readouterr().err.startswith("--database: ")


def test_ids_of_any_order_are_gone_through(cards, vault):
    cards.fill()
    cards.execute("CREATE TABLE named (name TEXT PRIMARY KEY, number TEXT)")
    cards.execute("INSERT INTO named SELECT 'row' || id, number FROM cards")
    vault.rotate("orders")
    assert "30 rows" in cards.run("--table", "main.named", "--id", "name", "--batch", "7")[1]
    assert {keylife.inspect(value).version for (value,) in cards.execute("SELECT number FROM named")} == {2}


def test_another_context_can_be_named(cards, vault):
    cards.fill(rows=3)
    cards.execute("UPDATE cards SET other = number")
    assert cards.run("--column", "other", "--reencrypt", "--all")[0] == 1
    assert cards.run("--column", "other", "--reencrypt", "--all", "--context", "table=cards", "--context", "column=number")[0] == 0


def test_remembered_data_keys_are_bounded(cards, vault, monkeypatch):
    monkeypatch.setattr(_rewrap, "_REMEMBERED", 2)
    cards.fill(writers=5)
    vault.rotate("orders")
    with vault.client() as client:
        cipher = cards.cipher(client)
        work = Rewrap(cipher)
        assert Run(cards.source(), cipher, work, batch=3)().whole
        assert len(work._known) == 2
    assert cards.versions() == {2: 30}


@pytest.mark.parametrize("options", [("--batch", "0"), ("--batch", "x"), ("--census", "--reencrypt"), ("--context", "x")])
def test_options_that_cannot_be_meant_are_refused(cards, options):
    with pytest.raises(SystemExit) as ended:
        cards.run(*options)
    assert ended.value.code == 2


def test_progress_is_one_line():
    out, now = io.StringIO(), iter([0.0, 2.0, 4.0])
    progress = Progress(200, out, lambda: next(now))
    progress(_rewrap.Report(rows=100))
    progress(_rewrap.Report(rows=200))
    assert out.getvalue() == "\r100 of 200 rows (50 %), 50 a second, 2 s left \r200 of 200 rows (100 %), 50 a second, 0 s left \n"


def test_inspect_tells_what_messages_are(cards, vault, tmp_path, monkeypatch):
    with vault.client() as client:
        key = client.key("orders")
        text, message = key.encrypt_text(b"x"), key.encrypt(b"y" * 200_000)
    (tmp_path / "binary").write_bytes(message)
    (tmp_path / "text").write_text(text + "\n")
    out = io.StringIO()
    assert command.main(["inspect", text, str(tmp_path / "binary"), str(tmp_path / "text")], out=out) == 0
    assert out.getvalue() == "field orders v1\n" * 3
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{text}\n4111 1111\n"))
    assert command.main(["inspect"], out=out) == 1
    assert out.getvalue() == "field orders v1\ninvalid message\n"
    assert command.main(["inspect", str(tmp_path / "nothing")]) == 3


def test_batches_give_each_result():
    def failing():
        raise keylife.BatchError([b"a", None], {1: keylife.InvalidMessage()})

    first, second = each_of(failing)
    assert first == b"a" and isinstance(second, keylife.InvalidMessage)
    assert each_of(lambda: [1]) == [1]
