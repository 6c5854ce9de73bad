# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The column type, by Core and ORM, on SQLite."""

import json

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy import orm

import keylife
from keylife import InvalidMessage, legacy
from keylife.sqlalchemy import Encrypted, configure
from keylife.testing import FakeVault


@pytest.fixture
def vault():
    fake = FakeVault("orders", "payments")
    with fake.client() as client:
        configure(client)
        yield fake


@pytest.fixture
def engine():
    return sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)


def table(**columns):
    encrypted = (sa.Column(name, kind) for name, kind in columns.items())
    return sa.Table("cards", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *encrypted)


def stored(engine, column="number", where="cards"):
    with engine.connect() as connection:
        return [value for (value,) in connection.execute(sa.text(f"SELECT {column} FROM {where} ORDER BY id"))]


def test_core_stores_messages_and_reads_plaintext(vault, engine):
    cards = table(number=Encrypted("orders"), image=Encrypted("payments", sa.LargeBinary), more=Encrypted("orders", sa.JSON()))
    cards.metadata.create_all(engine)
    values = {"number": "4111 é", "image": b"\0\xff", "more": {"a": [1, None, "é"]}}
    with engine.begin() as connection:
        connection.execute(sa.insert(cards), [{"id": 1, **values}, {"id": 2, "number": "", "image": b"", "more": []}])
        connection.execute(sa.insert(cards).values(id=3))
        rows = [tuple(row)[1:] for row in connection.execute(sa.select(cards).order_by(cards.c.id))]
    assert rows == [tuple(values.values()), ("", b"", []), (None, None, None)]
    first, second, third = stored(engine)
    assert keylife.inspect(first) == keylife.inspect(second) == keylife.Info(False, "orders", 1)
    assert third is None
    image = stored(engine, "image")[0]
    assert isinstance(image, bytes) and keylife.inspect(image).key == "payments"


def test_orm_stores_messages_and_reads_plaintext(vault, engine):
    base = orm.declarative_base()

    class Secret:
        number = sa.Column(Encrypted("orders"))

    class Card(Secret, base):
        __tablename__ = "cards"
        id = sa.Column(sa.Integer, primary_key=True)

    class Account(Secret, base):
        __tablename__ = "accounts"
        id = sa.Column(sa.Integer, primary_key=True)

    base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Card(number="4111"), Account(number="DE02")])
        session.commit()
        card = session.execute(sa.select(Card).where(Card.number.is_not(None))).scalar_one()
        assert card.number == "4111"
        card.number = "4222"
        session.commit()
        aliased = orm.aliased(Card)
        assert session.execute(sa.select(aliased.number, Account.number).join(Account, sa.true())).one() == ("4222", "DE02")
        assert session.query(Card).filter(Card.number == None).all() == []  # noqa: E711


def test_a_value_opens_in_its_column_only(vault, engine):
    cards = table(number=Encrypted("orders"), copy=Encrypted("orders"))
    cards.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(cards.insert().values(id=1, number="4111"))
        connection.execute(sa.text("UPDATE cards SET copy = number"))
        assert connection.execute(sa.select(cards.c.number)).scalar_one() == "4111"
        with pytest.raises(InvalidMessage):
            connection.execute(sa.select(cards.c.copy)).scalar_one()


def test_a_renamed_column_keeps_its_context(vault, engine):
    old = table(number=Encrypted("orders"))
    old.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(old.insert().values(id=1, number="4111"))
        connection.execute(sa.text("ALTER TABLE cards RENAME COLUMN number TO pan"))
        kept = table(pan=Encrypted("orders", context={"table": "cards", "column": "number"}))
        assert connection.execute(sa.select(kept.c.pan)).scalar_one() == "4111"


def test_columns_that_differ_by_context_alone_are_no_one_statement(vault, engine):
    cards = table(number=Encrypted("orders"), copy=Encrypted("orders"))
    with engine.connect() as connection:
        for column in (cards.c.number, cards.c.copy):
            message = connection.execute(sa.select(sa.cast(sa.literal("4111", column.type), sa.Text))).scalar_one()
            assert column.type.cipher.read(message) == b"4111"


@pytest.mark.parametrize("act", [
    lambda c: c == "4111", lambda c: c != "4111", lambda c: "4111" == c, lambda c: c.in_(["4111"]), lambda c: c.like("4%"),
    lambda c: c < "4", lambda c: c.between("1", "2"), lambda c: c + "x", lambda c: c.desc(), lambda c: c == c, lambda c: c.is_("x"),
    lambda c: c.contains("1"), lambda c: c.distinct(),
])
def test_what_the_database_cannot_compare_is_refused(vault, act):
    cards = table(number=Encrypted("orders"))
    with pytest.raises(sa.exc.InvalidRequestError, match=r"^cards\.number: .*IS NULL") as raised:
        act(cards.c.number)
    assert "4111" not in str(raised.value)


def test_null_can_be_asked_for(vault):
    number = table(number=Encrypted("orders")).c.number
    for act in (number == None, number.is_(None), number == sa.null()):  # noqa: E711
        assert str(act) == "cards.number IS NULL"
    for act in (number != None, number.is_not(None)):  # noqa: E711
        assert str(act) == "cards.number IS NOT NULL"


@pytest.mark.parametrize("options", [{"primary_key": True}, {"unique": True}, {"index": True}])
def test_a_column_that_must_be_compared_is_refused(options):
    with pytest.raises(sa.exc.ArgumentError, match="t.x: an encrypted column cannot be"):
        sa.Table("t", sa.MetaData(), sa.Column("x", Encrypted("orders"), **options))


def test_one_type_is_of_one_column():
    kind = Encrypted("orders")
    with pytest.raises(sa.exc.ArgumentError, match=r"cards\.b: its type is that of cards\.a too"):
        table(a=kind, b=kind)
    cards = table(a=Encrypted("orders"))
    copied = cards.to_metadata(sa.MetaData(), name="cards2")
    assert dict(copied.c.a.type.context) == {"table": "cards2", "column": "a"}
    assert dict(cards.c.a.type.context) == {"table": "cards", "column": "a"}


def test_a_type_of_no_column_needs_a_context(vault, engine):
    with engine.connect() as connection:
        with pytest.raises(sa.exc.InvalidRequestError, match="give it a context"):
            connection.execute(sa.select(sa.literal("x", Encrypted("orders"))))
        message = connection.execute(sa.select(sa.literal("x", Encrypted("orders", context={"of": "nothing"})))).scalar_one()
        assert message == "x"


@pytest.mark.parametrize("kind, value, said", [
    (sa.Text, b"4111", r"cards\.number: bytes, want str"), (sa.LargeBinary, "4111", "str, want bytes"),
    (sa.JSON, {"x": object()}, "not JSON serializable"), (sa.Text, "\ud800", "not UTF-8"),
])
def test_a_value_of_another_type_is_refused(vault, engine, kind, value, said):
    cards = table(number=Encrypted("orders", kind))
    cards.metadata.create_all(engine)
    with engine.connect() as connection, pytest.raises((TypeError, ValueError), match=said) as raised:
        connection.execute(cards.insert().values(id=1, number=value))
    assert "4111" not in str(raised.value)


def test_an_error_is_that_of_the_client_and_shows_no_parameters(vault, engine):
    cards = table(number=Encrypted("orders"))
    cards.metadata.create_all(engine)
    vault.set_outage("down")
    for refused in (keylife.Unavailable, keylife.AccessDenied, keylife.KeyStateError):
        with engine.connect() as connection, pytest.raises(refused) as raised:
            connection.execute(cards.insert().values(id=1, number="4111"))
        assert "4111" not in str(raised.value) and "4111" not in repr(raised.value)
        if refused is keylife.Unavailable:
            vault.set_outage("none")
            vault.deny("orders", "datakey")
        else:
            vault.allow("orders", "datakey")
            vault.set_state("orders", 1, "suspended")
    assert raised.value.state == "suspended"


def test_data_keys_are_fetched_ahead_in_one_request(vault, engine):
    cards = table(number=Encrypted("orders"))
    cards.metadata.create_all(engine)
    for id in range(5):
        with vault.client() as client, engine.begin() as connection:
            configure(client)
            connection.execute(cards.insert().values(id=id, number=str(id)))
    with vault.client() as client, engine.connect() as connection:
        configure(client)
        vault.requests.clear()
        cards.c.number.type.cipher.prefetch(connection.execute(sa.select(sa.type_coerce(cards.c.number, sa.Text))).scalars())
        assert vault.requests["decrypt"] == 1
        assert connection.execute(sa.select(cards.c.number).order_by(cards.c.id)).scalars().all() == list("01234")
        assert vault.requests["decrypt"] == 1


def test_a_type_that_is_not_known_is_refused():
    with pytest.raises(sa.exc.ArgumentError, match="type_ is Integer"):
        Encrypted("orders", sa.Integer)


def test_legacy_values_are_read_and_messages_written(vault, engine):
    fernet = Fernet(Fernet.generate_key())
    cards = table(number=Encrypted("orders", legacy=[fernet, legacy.Plain()]))
    cards.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO cards VALUES (1, :a), (2, '4222')"), {"a": fernet.encrypt(b"4111").decode()})
        assert connection.execute(sa.select(cards.c.number).order_by(cards.c.id)).scalars().all() == ["4111", "4222"]
        connection.execute(cards.update().values(number="4333"))
    assert all(value.startswith("kle1.") for value in stored(engine))


def test_a_client_is_made_at_the_first_use_and_once(vault, engine):
    made = []
    cards = table(number=Encrypted("orders", client=lambda: made.append(1) or vault.client()))
    cards.metadata.create_all(engine)
    assert made == []
    with engine.begin() as connection:
        connection.execute(cards.insert(), [{"id": i, "number": "4111"} for i in range(1, 50)])
        assert connection.execute(sa.select(cards.c.number)).scalars().all() == ["4111"] * 49
    assert made == [1]


def test_without_a_client_the_error_says_what_to_do(monkeypatch, engine):
    monkeypatch.setattr("keylife.sqlalchemy._default", None)
    cards = table(number=Encrypted("orders"))
    cards.metadata.create_all(engine)
    with engine.connect() as connection, pytest.raises(sa.exc.InvalidRequestError, match="configure"):
        connection.execute(cards.insert().values(id=1, number="4111"))


def test_a_type_is_written_down_without_secrets():
    fernet = Fernet(Fernet.generate_key())
    assert repr(Encrypted("orders", sa.LargeBinary, legacy=[fernet])) == "Encrypted('orders', LargeBinary())"


def test_json_is_read_as_it_was_written(vault, engine):
    cards = table(number=Encrypted("orders", sa.JSON))
    cards.metadata.create_all(engine)
    values = [0, 1.5, True, "x", [], {}, {"ä": None}]
    with engine.begin() as connection:
        connection.execute(cards.insert(), [{"id": i, "number": value} for i, value in enumerate(values)])
        assert json.dumps(connection.execute(sa.select(cards.c.number).order_by(cards.c.id)).scalars().all()) == json.dumps(values)
