"""Logins, passwords, tokens and limits as functions of values."""

import string
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from marketplace.actor import Scope
from marketplace.parties import passwords
from marketplace.parties.domain import credentials

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LOGIN = st.from_regex(r"\A[a-z0-9][a-z0-9._@+-]{2,63}\Z")
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=160)


@given(LOGIN)
def test_a_login_has_one_spelling(login):
    assert credentials.normal_login(f"  {login.upper()} ") == login
    assert credentials.normal_login(credentials.normal_login(login)) == login


@pytest.mark.parametrize(
    "login", ["", "ab", "a" * 65, "a b c", "-abc", ".abc", "李雷雷", "a'--", "a/b/c", "ａｂｃ", "abc\n1"]
)
def test_other_logins_are_refused(login):
    with pytest.raises(credentials.InvalidLogin):
        credentials.normal_login(login)


@given(TEXT)
def test_passwords_are_judged_by_length_variety_and_login(text):
    normal = unicodedata.normalize("NFKC", text).strip()
    good = 12 <= len(normal) <= 128 and len(set(normal)) >= 5 and "seller" not in normal.lower()
    if good:
        assert credentials.check_password(text, login="seller") == normal
        return
    with pytest.raises(credentials.WeakPassword):
        credentials.check_password(text, login="seller")


@pytest.mark.parametrize("text", ["short-1234", "aaaaaaaaaaaaaaaa", "my-SELLER-password", "x1" * 65, " " * 20])
def test_weak_passwords(text):
    with pytest.raises(credentials.WeakPassword):
        credentials.check_password(text, login="seller")


def test_a_password_is_known_however_it_was_typed():
    hashed = passwords.hash_new("Straße-ﬁnanz-通行证 2026", login="seller")
    assert hashed.startswith("$argon2id$")
    assert passwords.fits(hashed, "Straße-finanz-通行证 2026 ")
    assert not passwords.fits(hashed, "Strasse-finanz-通行证 2026")
    assert not passwords.fits(None, "Straße-finanz-通行证 2026")
    assert not passwords.fits("no hash at all", "Straße-finanz-通行证 2026")
    assert not passwords.is_outdated(hashed)
    assert passwords.fits(passwords.hash_again("Straße-ﬁnanz-通行证 2026"), "Straße-finanz-通行证 2026")


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=32, max_size=32))
def test_tokens_are_told_apart_and_carry_their_bytes(prefix, secret):
    key, token = credentials.api_key(prefix, secret), credentials.session_token(secret)
    assert credentials.is_api_key(key)
    assert not credentials.is_session_token(key)
    assert credentials.is_session_token(token)
    assert not credentials.is_api_key(token)
    assert key.split("_") == ["npl", prefix.hex(), secret.hex()]
    assert token.split("_") == ["nps", secret.hex()]


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_tokens_of_other_sizes_are_not_made(prefix, secret):
    assume(len(prefix) != 4 or len(secret) != 32)
    with pytest.raises(ValueError, match="random bytes"):
        credentials.api_key(prefix, secret)
    if len(secret) != 32:
        with pytest.raises(ValueError, match="random bytes"):
            credentials.session_token(secret)


@given(st.text(string.printable, max_size=80))
def test_other_text_is_no_token(text):
    assume(not text.startswith(("npl_", "nps_")))
    assert not credentials.is_api_key(text)
    assert not credentials.is_session_token(text)


@pytest.mark.parametrize("tail", ["\n", "0", ""])
def test_a_token_is_matched_whole(tail):
    token = credentials.session_token(bytes(32))
    changed = token + tail if tail else token[:-1]
    assert not credentials.is_session_token(changed)


@given(st.timedeltas(timedelta(days=-400), timedelta(days=800)), st.sets(st.sampled_from(Scope)))
def test_a_key_expires_in_the_future_within_a_year_and_can_do_something(ahead, scopes):
    good = timedelta(0) < ahead <= timedelta(days=366)
    if good and scopes:
        assert credentials.check_key(scopes=scopes, expires_at=NOW + ahead, at=NOW) == scopes
        return
    with pytest.raises(credentials.InvalidKeyLifetime if scopes else credentials.ScopesMissing):
        credentials.check_key(scopes=scopes, expires_at=NOW + ahead, at=NOW)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_each_limit_counts_for_itself(both, login, address):
    limits = credentials.SignInLimits()
    if both < 10 and login < 100 and address < 200:
        credentials.check_attempts(limits, login_and_address=both, login=login, address=address)
        return
    with pytest.raises(credentials.TooManySignIns, match="15 minutes"):
        credentials.check_attempts(limits, login_and_address=both, login=login, address=address)
