# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""The token: when it is fetched, renewed and given up."""

import pytest

from keylife import AccessDenied, TokenFile, Unavailable
from keylife.testing import FakeVault

HOUR = 3600


@pytest.fixture
def vault():
    return FakeVault("orders", "payments")


def test_a_bare_token_is_looked_up_once_and_renewed(vault):
    token = vault._issue(HOUR, True)
    orders = vault.client(token=token).key("orders")
    orders.encrypt(b"a")
    vault.advance(10 * HOUR)
    assert vault.requests["lookup"] == 1 and vault.requests["login"] == 0
    assert vault.requests["renew"] == 15
    assert vault._tokens[token].left(vault.now()) > 0


@pytest.mark.parametrize("renewable", [True, False])
def test_a_bare_token_that_ends_is_denied(vault, renewable):
    token = vault._issue(HOUR, renewable)
    orders = vault.client(token=token).key("orders")
    orders.encrypt(b"a")
    vault.advance(60)
    vault.revoke_tokens()
    vault.advance(2 * HOUR)
    with pytest.raises(AccessDenied):
        orders.encrypt(b"a")
    assert vault.requests["login"] == 0


def test_a_root_token_is_looked_up_and_left_alone(vault):
    orders = vault.client(token=vault.new_token()).key("orders")
    orders.encrypt(b"a")
    vault.advance(1000 * HOUR)
    assert vault.requests["lookup"] == 1 and vault.requests["renew"] == 0


@pytest.mark.parametrize("token", ["", "two words", "é", "a\nX-Injected: b", "\x7f"])
def test_a_token_that_is_none_is_denied_and_not_told(vault, token):
    orders = vault.client(token=token).key("orders")
    with pytest.raises(AccessDenied, match="the token is empty or has characters") as caught:
        orders.encrypt(b"a")
    assert not token or token not in str(caught.value)
    assert not vault.requests


def test_near_its_longest_life_a_token_is_made_anew(vault):
    vault.set_tokens(HOUR, renewable=True, max_ttl=2 * HOUR)
    orders = vault.client().key("orders")
    orders.encrypt(b"a")
    vault.advance(106 * 60)
    assert vault.requests["login"] == 1 and vault.requests["renew"] == 2  # the second gave 40 minutes
    vault.advance(60)
    assert vault.requests["login"] == 2 and vault.requests["renew"] == 3  # the third gave 13


def test_renewals_that_never_get_through_end_in_a_login(vault):
    vault.set_tokens(HOUR, renewable=True)
    orders = vault.client().key("orders")
    orders.encrypt(b"a")
    vault.advance(39 * 60)
    answer = vault._of_token
    vault._of_token = lambda op, token, held: (500, {"errors": ["1 error occurred"]})
    vault.advance(14 * 60)
    assert vault.requests["renew"] > 10 and vault.requests["login"] == 1
    vault.advance(60 + 1)
    assert vault.requests["login"] == 2, "at 90 % of its life"
    vault._of_token = answer
    vault.requests.clear()
    vault.advance(10 * 60)
    assert not vault.requests["renew"] and not vault.requests["login"]


def test_a_renewal_that_is_refused_is_a_login(vault):
    vault.set_tokens(HOUR, renewable=True)
    orders = vault.client().key("orders")
    orders.encrypt(b"a")
    vault.advance(10 * 60)
    vault.revoke_tokens()  # and no key is used
    vault.advance(31 * 60)
    assert vault.requests["login"] == 2 and vault.requests["renew"] == 1


def test_no_background_login_goes_on_behind_the_end_of_a_token(vault):
    vault.set_tokens(HOUR, renewable=False)
    orders = vault.client().key("orders")
    orders.encrypt(b"a")
    vault.refuse_logins()
    vault.advance(2 * HOUR)
    vault.requests.clear()
    vault.advance(10 * HOUR)
    assert not vault.requests
    vault.refuse_logins(False)
    assert orders.decrypt(orders.encrypt(b"a")) == b"a"
    assert vault.requests["login"] == 1


def test_a_refused_key_costs_a_login_in_ten_seconds_at_most(vault):
    client = vault.client()
    orders, payments = client.key("orders"), client.key("payments")
    vault.deny("orders", "datakey")
    for _ in range(5):
        with pytest.raises(AccessDenied):
            orders.encrypt(b"a")
    assert vault.requests == {"login": 2, "datakey": 6}
    payments.encrypt(b"a")
    vault.advance(10)
    with pytest.raises(AccessDenied):
        orders.encrypt(b"a")
    assert vault.requests["login"] == 3


def test_what_was_refused_with_an_old_token_is_sent_with_the_new_one_that_is_there(vault):
    client = vault.client()
    client.key("orders").encrypt(b"a")
    session = client._core._session
    old, until = session.token(vault.now() + 5), vault.now() + 5
    new = session.after_refusal(old, "orders", until)
    assert new != old and vault.requests["login"] == 2
    assert session.after_refusal(old, "payments", until) == new
    assert vault.requests["login"] == 2


def test_a_token_file_is_read_again_where_its_token_is_refused(vault, tmp_path):
    file = tmp_path / "token"
    file.write_text(vault.new_token() + "\n")
    orders = vault.client(auth=TokenFile(str(file))).key("orders")
    orders.encrypt(b"a")
    vault.revoke_tokens()
    file.write_text(vault.new_token())
    orders.refresh()
    assert orders.encrypt(b"a")


def test_a_login_that_answers_nonsense_is_an_outage(vault):
    vault._log_in = lambda: (200, {"auth": {"client_token": "a"}})
    with pytest.raises(Unavailable, match="cannot be read"):
        vault.client().key("orders").encrypt(b"a")


def test_wait_waits_for_vault(vault):
    vault.set_outage("down")
    start = vault.now()
    with pytest.raises(Unavailable):
        vault.client(wait=30)
    assert 20 < vault.now() - start <= 30
    logins = []

    def answer(*request, answer=vault._answer):
        logins.append(request)
        if len(logins) == 3:
            vault.set_outage("none")
        return answer(*request)

    vault._answer = answer
    vault.client(wait=30)
    assert len(logins) == 3
    vault.client(wait=30, token=vault.new_token())
    vault.refuse_logins()
    with pytest.raises(AccessDenied):
        vault.client(wait=30)


def test_an_auth_that_raises_is_tried_again_like_an_outage(vault):
    class Broken:
        def login(self, ask):
            raise RuntimeError("the secret")

    with pytest.raises(Unavailable, match="the login raised RuntimeError$"):
        vault.client(auth=Broken(), timeout=1).key("orders").encrypt(b"a")
