# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The fields and the command, on SQLite."""

import asyncio
import sys
from io import StringIO
from pathlib import Path

import django
import pytest
from asgiref.sync import sync_to_async
from cryptography.fernet import Fernet
from django.conf import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:keylife?mode=memory&cache=shared"}},  # seen by each thread
    INSTALLED_APPS=["shop", "keylife.django"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.serializers import deserialize, serialize
from django.db import connection, migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Concat, Upper
from django.forms import modelform_factory
from django.test.utils import isolate_apps, override_settings
from shop.models import OLD, Card, Document

import keylife
from keylife import InvalidMessage
from keylife.django import EncryptedJSONField, EncryptedTextField, client
from keylife.django._source import FieldSource
from keylife.testing import FakeVault


@pytest.fixture
def vault():
    fake = FakeVault("orders", "payments")
    with connection.schema_editor() as schema:
        schema.create_model(Card)
        schema.create_model(Document)
    with fake.client() as its, override_settings(KEYLIFE=its):
        yield fake
    with connection.schema_editor() as schema:
        schema.delete_model(Card)
        schema.delete_model(Document)


def stored(column="number", table="shop_card"):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} ORDER BY id")
        return [value for (value,) in cursor.fetchall()]


def store(value, id=1):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO shop_card VALUES (%s, %s, '')", [id, value])


def test_messages_are_stored_and_plaintext_read(vault):
    Card.objects.create(number="4111 é")
    Card.objects.bulk_create([Card(number=""), Card(number=None)])
    assert [card.number for card in Card.objects.order_by("id")] == ["4111 é", "", None]
    first, second, third = stored()
    assert keylife.inspect(first) == keylife.inspect(second) == keylife.Info(False, "orders", 1)
    assert third is None
    document = Document.objects.create(content=b"\0\xff", more={"a": [1, None, "é"]})
    assert keylife.inspect(stored("content", "shop_document")[0]).key == "payments"
    document.refresh_from_db()
    assert (document.content, document.more, document.note) == (b"\0\xff", {"a": [1, None, "é"]}, "none")
    assert Document.objects.values_list("content", "more").get() == (b"\0\xff", {"a": [1, None, "é"]})


def test_what_was_written_is_updated_as_messages(vault):
    cards = [Card.objects.create(number=str(i)) for i in range(3)]
    cards[0].number = "a"
    cards[0].save(update_fields=["number"])
    cards[1].number = "b"
    cards[2].number = None
    Card.objects.bulk_update(cards[1:], ["number"])
    assert list(Card.objects.order_by("id").values_list("number", flat=True)) == ["a", "b", None]
    assert Card.objects.update(number="c") == 3
    assert list(Card.objects.values_list("number", flat=True)) == ["c"] * 3
    assert all(keylife.inspect(value) for value in stored())
    Document.objects.update_or_create(id=1, defaults={"content": memoryview(b"x")})
    assert Document.objects.get().content == b"x"
    assert Card.objects.get_or_create(holder="h", defaults={"number": "d"})[0].number == "d"


def test_a_value_opens_in_its_column_only(vault):
    Document.objects.create(more="x", note="4111")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_document SET more = note")
    with pytest.raises(InvalidMessage):
        Document.objects.get()


@pytest.mark.parametrize("asked", [
    {"number": "4111"}, {"number__in": ["4111"]}, {"number__contains": "1"}, {"number__gt": "1"}, {"number__iexact": None},
    {"number__iexact": "1"}, {"number__regex": "1"}, {"number__lower": "1"}, {"number__length__gt": 1}, {"number": F("holder")},
    {"number__range": "12"}, {"number__startswith": "1"},
])
def test_what_the_database_cannot_compare_is_refused(vault, asked):
    said = r"^shop\.Card\.number: the lookup \w+ is not possible on an encrypted field; only isnull is$"
    with pytest.raises(FieldError, match=said) as raised:
        Card.objects.filter(**asked)
    assert "4111" not in str(raised.value)
    with pytest.raises(FieldError):
        Card.objects.exclude(Q(**asked))


def test_null_can_be_asked_for(vault):
    Card.objects.bulk_create([Card(number="4111"), Card()])
    assert Card.objects.filter(number=None).count() == Card.objects.filter(number__isnull=True).count() == 1
    assert Card.objects.exclude(number=None).get().number == "4111"


def test_a_json_field_is_not_searched(vault):
    with pytest.raises(FieldError, match="the lookup a"):
        Document.objects.filter(more__a=1)
    with pytest.raises(FieldError, match="the lookup has_key"):
        Document.objects.filter(more__has_key="a")


@pytest.mark.parametrize("expression", [
    Value("4111"), Concat(Value("41"), Value("11")), F("holder"), Upper("holder"), Case(When(pk=1, then=Value("4111"))),
    Value("4111", output_field=models.TextField()),
])
def test_the_database_computes_no_value(vault, expression):
    card = Card.objects.create(number="x", holder="plain")
    with pytest.raises(FieldError, match="takes values"):
        Card.objects.update(number=expression)
    card.number = expression
    with pytest.raises(FieldError, match="takes values"):
        card.save()
    with pytest.raises(FieldError, match="takes values"):
        Card.objects.create(number=expression)
    with pytest.raises(FieldError, match="takes values"):
        Card.objects.bulk_create([Card(number=expression)])
    assert [keylife.inspect(value).key for value in stored()] == ["orders"]


def test_legacy_values_are_read_by_a_dotted_path(vault):
    store(OLD.encrypt(b"4111").decode())
    store("4222", 2)
    assert list(Card.objects.order_by("id").values_list("number", flat=True)) == ["4111", "4222"]
    for card in Card.objects.all():
        card.save()
    assert all(value.startswith("kle1.") for value in stored())


def state(*fields, options=None):
    project = ProjectState()
    project.add_model(ModelState("shop", "Thing", [("id", models.BigAutoField(primary_key=True)), *fields], options))
    return project


def test_migrations_are_stable_and_hold_no_keys(vault):
    secret = Fernet.generate_key()
    field = EncryptedJSONField(key="orders", legacy=[Fernet(secret)], null=True, context={"table": "old"})
    name, path, args, kwargs = field.deconstruct()
    assert (path, args, kwargs) == ("keylife.django.EncryptedJSONField", [], {"key": "orders", "null": True, "context": {"table": "old"}})
    assert Card._meta.get_field("number").deconstruct()[3]["legacy"] == "shop.models.readers"
    content = {"key": "payments", "null": True, "blank": True, "editable": True}
    assert Document._meta.get_field("content").deconstruct()[1:] == ("keylife.django.EncryptedBinaryField", [], content)
    written = MigrationWriter(migrations.Migration("0001", "shop")).as_string() + MigrationWriter.serialize(field)[0]
    assert "keylife.django.EncryptedJSONField(context={'table': 'old'}, key='orders', null=True)" in written
    same = MigrationAutodetector(state(("x", field)), state(("x", field.clone())))._detect_changes()
    assert same == {}


def test_migrations_add_and_remake_columns(vault):
    Card.objects.create(number="4111")
    added = EncryptedTextField(key="orders", default="later")
    added.set_attributes_from_name("extra")
    added.model = Card
    with connection.schema_editor() as schema:
        schema.add_field(Card, added)
    (message,) = stored("extra")
    assert added.cipher.read(message) == b"later"
    assert Card.objects.get().number == "4111"


def test_forms_and_fixtures_have_the_plaintext(vault):
    form = modelform_factory(Document, fields=["content", "more", "note"])
    assert type(form().fields["note"].widget).__name__ == "Textarea" and form().fields["note"].max_length == 20
    bound = form({"more": '{"a": 1}', "note": "n"})
    assert bound.is_valid(), bound.errors
    document = bound.save()
    document.refresh_from_db()
    assert (document.more, document.note) == ({"a": 1}, "n")
    assert not form({"more": "{", "note": "n"}).is_valid()
    assert not form({"note": "n" * 21}).is_valid()
    document.content = b"\0\xff"
    document.save()
    fixture = serialize("json", Document.objects.all())
    Document.objects.all().delete()
    for each in deserialize("json", fixture):
        each.save()
    assert Document.objects.values_list("content", "more", "note").get() == (b"\0\xff", {"a": 1}, "n")


@isolate_apps("shop")
def test_checks_name_what_cannot_be():
    class Wrong(models.Model):
        a = EncryptedTextField(key="orders", unique=True)
        b = EncryptedTextField(key="orders", db_index=True)
        c = EncryptedTextField(key="orders", primary_key=True)
        d = EncryptedTextField()
        e = EncryptedTextField(key="../sys")
        f = EncryptedTextField(key="orders", legacy="no.such.readers")
        g = EncryptedTextField(key="orders", legacy=[object()])
        h = EncryptedTextField(key="orders")
        i = EncryptedTextField(key="orders")
        j = EncryptedTextField(key="orders")

        class Meta:
            app_label = "shop"
            indexes = [models.Index(fields=["-h"], name="h")]
            constraints = [models.UniqueConstraint(fields=["i"], name="i")]
            unique_together = [("j", "h")]

    found = {field.name: {error.id for error in field.check()} for field in Wrong._meta.get_fields()}
    one, two, three = ({f"keylife.E00{i}"} for i in (1, 2, 3))
    assert found == {"a": one, "b": one, "c": one, "d": two, "e": two, "f": three, "g": three, "h": one, "i": one, "j": one}


def test_checks_of_what_can_be_find_nothing(vault):
    call_command("check", "--fail-level=WARNING")


@isolate_apps("shop")
def test_each_model_of_an_abstract_one_has_its_own_context():
    class Base(models.Model):
        number = EncryptedTextField(key="orders")

        class Meta:
            app_label = "shop"
            abstract = True

    class One(Base):
        class Meta:
            app_label = "shop"

    class Two(Base):
        number2 = EncryptedTextField(key="orders", db_column="n2", context={"row": "any"})

        class Meta:
            app_label = "shop"
            db_table = "twos"

    assert One._meta.get_field("number").cipher.context == {"table": "shop_one", "column": "number"}
    assert Two._meta.get_field("number").cipher.context == {"table": "twos", "column": "number"}
    assert Two._meta.get_field("number2").cipher.context == {"row": "any"}


def many(vault, writers, rows):
    """Rows of so many data keys."""
    for _ in range(writers):
        with vault.client() as its, override_settings(KEYLIFE=its):
            Card.objects.bulk_create([Card(number=str(i)) for i in range(rows // writers)])


def test_rows_ask_once_for_each_data_key(vault):
    many(vault, 5, 1000)
    vault.requests.clear()
    assert len([card.number for card in Card.objects.all()]) == 1000
    assert vault.requests["decrypt"] <= 5


def test_data_keys_are_fetched_ahead_in_one_request(vault):
    many(vault, 5, 100)
    vault.requests.clear()
    field = Card._meta.get_field("number")
    field.prefetch(Card.objects.annotate(stored=field.raw()).values_list("stored", flat=True))
    assert vault.requests["decrypt"] == 1
    assert len([card.number for card in Card.objects.all()]) == 100
    assert vault.requests["decrypt"] == 1


def test_async_code_asks_nothing_for_keys_it_has(vault):
    Card.objects.create(number="4111")
    vault.requests.clear()
    card = asyncio.run(sync_to_async(Card.objects.get)())
    assert card.number == "4111"
    assert not any(vault.requests.values())


@pytest.mark.parametrize("setting, said", [
    (None, "want the parameters"), (5, "want the parameters"), ({"no_such": 1}, "no_such"), ("shop.models.readers", "gave list"),
    ("shop.models.OLD", "want the parameters"),
])
def test_settings_that_give_no_client_are_told(setting, said):
    with override_settings(KEYLIFE=setting), pytest.raises(ImproperlyConfigured, match=f"KEYLIFE: .*{said}"):
        client()


def test_settings_give_a_client_once(vault):
    given = []
    with override_settings(KEYLIFE=lambda: given.append(vault.client()) or given[0]):
        assert client() is client() is given[0]
    assert len(given) == 1
    with override_settings(KEYLIFE={"url": "http://vault", "token": "t", "mount": "keys"}):
        assert isinstance(client(), keylife.Client)


def rewrap(*options):
    out = StringIO()
    try:
        call_command("keylife_rewrap", "shop.Card.number", *options, stdout=out)
        return 0, out.getvalue()
    except SystemExit as ended:
        return ended.code, out.getvalue()


def test_the_command_counts_rewraps_and_converts(vault):
    store(OLD.encrypt(b"4000").decode(), 100)
    store("4001", 101)
    Card.objects.bulk_create([Card(number=str(i)) for i in range(20)])
    vault.rotate("orders")
    assert rewrap("--census") == (0, "22 rows\nfound:\n  fernet: 1\n  kle1 orders v1: 20\n  plain: 1\n")
    vault.requests.clear()
    code, said = rewrap("--batch", "7")
    assert code == 1 and "changed: 20" in said and "not a message yet: 2" in said
    assert {op: count for op, count in vault.requests.items() if count and op in ("datakey", "decrypt", "rewrap")} == {"rewrap": 1}
    assert rewrap("--reencrypt")[0] == 0
    assert rewrap("--census")[1] == "22 rows\nfound:\n  kle1 orders v2: 22\n"
    assert sorted(Card.objects.values_list("number", flat=True)) == sorted(["4000", "4001", *map(str, range(20))])


def test_the_command_leaves_what_others_write_meanwhile(vault, monkeypatch):
    Card.objects.bulk_create([Card(number=str(i)) for i in range(4)])
    vault.rotate("orders")
    swap = FieldSource._swap

    def racing(self, row, new):
        if row.id == 2:
            Card.objects.filter(pk=2).update(number="theirs")
        elif row.id == 3:
            Card.objects.filter(pk=3).delete()
        return swap(self, row, new)

    monkeypatch.setattr(FieldSource, "_swap", racing)
    code, said = rewrap()
    assert code == 1 and "  changed: 2\n  changed or deleted by others meanwhile: 2\n" in said
    assert list(Card.objects.order_by("id").values_list("number", flat=True)) == ["0", "theirs", "3"]


def test_the_command_refuses_what_is_no_encrypted_field(vault):
    for label in ("shop.Card", "shop.Card.holder", "shop.Nothing.x", "shop.Card.nothing"):
        with pytest.raises(CommandError, match=label):
            call_command("keylife_rewrap", label)
