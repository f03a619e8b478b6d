"""The rules about credentials: login names, passwords, session tokens, API keys and how often signing in may fail.

Part of the domain: functions of values. Random bytes are handed in, hashing and rows live in the services.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from marketplace.actor import Scope
from marketplace.errors import Invalid, TooMany, Unauthenticated

SESSION_LIFETIME: Final = timedelta(hours=12)
"""A session ends this long after signing in, whatever happens in it. No idle limit: reading never writes."""

API_KEY_LIFETIME_MAX: Final = timedelta(days=366)
PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 128
PASSWORD_DISTINCT_MIN: Final = 5
TOKEN_BYTES: Final = 32
PREFIX_BYTES: Final = 4

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{2,63}", re.ASCII)
_SESSION_TOKEN = re.compile(r"nps_[0-9a-f]{64}", re.ASCII)
_API_KEY = re.compile(r"npl_[0-9a-f]{8}_[0-9a-f]{64}", re.ASCII)


class InvalidLogin(Invalid):
    """The login name has the wrong length or characters."""

    code = "invalid_login"

    def __init__(self) -> None:
        super().__init__(
            "A login has 3 to 64 characters: small letters, digits and . _ @ + -, a letter or digit first."
        )


class WeakPassword(Invalid):
    """The password is too short, too long, too uniform, or contains the login."""

    code = "weak_password"

    def __init__(self) -> None:
        super().__init__(
            f"A password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters, at least "
            f"{PASSWORD_DISTINCT_MIN} different ones, and does not contain the login.",
        )


class InvalidKeyLifetime(Invalid):
    """The key would have expired already or live for too long."""

    code = "invalid_key_lifetime"

    def __init__(self) -> None:
        super().__init__(f"A key expires in the future and within {API_KEY_LIFETIME_MAX.days} days.")


class ScopesMissing(Invalid):
    """A key that may do nothing."""

    code = "scopes_missing"

    def __init__(self) -> None:
        super().__init__("A key has at least one of the scopes read, write, bid.")


class SignInFailed(Unauthenticated):
    """Login or password is wrong, or the user or its organisation has no access; it is not said which."""

    code = "sign_in_failed"

    def __init__(self) -> None:
        super().__init__("Login or password is wrong, or access has ended.")


class TooManySignIns(TooMany):
    """Signing in failed too often lately, for this login or from this address."""

    code = "too_many_sign_ins"

    def __init__(self, window: timedelta) -> None:
        super().__init__(f"Signing in failed too often; try again in {window // timedelta(minutes=1)} minutes.")


def normal_login(text: str) -> str:
    """Return the login in its one spelling (small letters, no outer space); raise `InvalidLogin`."""
    login = text.strip().lower()
    if not _LOGIN.fullmatch(login):
        raise InvalidLogin
    return login


def normal_password(text: str) -> str:
    """Return the password as it is hashed: NFKC without outer blanks, so that every keyboard and form spells it alike.

    NIST SP 800-63B, 3.1.1.2.
    """
    return unicodedata.normalize("NFKC", text).strip()


def check_password(text: str, *, login: str) -> str:
    """Return the normal form of an acceptable new password; raise `WeakPassword`.

    Length instead of composition rules (NIST SP 800-63B, 3.1.1.2): 12 to 128 characters, 5 different, no login in it.
    """
    password = normal_password(text)
    fits = PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX
    if not fits or len(set(password)) < PASSWORD_DISTINCT_MIN or login in password.lower():
        raise WeakPassword
    return password


def session_token(random: bytes) -> str:
    """Spell a session token: `nps_` and 32 random bytes in hex."""
    if len(random) != TOKEN_BYTES:
        raise ValueError("a session token is made of 32 random bytes")
    return f"nps_{random.hex()}"


def api_key(prefix: bytes, secret: bytes) -> str:
    """Spell an API key `npl_<prefix>_<secret>` in hex: 4 bytes to recognise it by, 32 random ones that make it good."""
    if len(prefix) != PREFIX_BYTES or len(secret) != TOKEN_BYTES:
        raise ValueError("an API key is made of 4 and 32 random bytes")
    return f"npl_{prefix.hex()}_{secret.hex()}"


def is_session_token(text: str) -> bool:
    """Whether the text has the form of a session token."""
    return _SESSION_TOKEN.fullmatch(text) is not None


def is_api_key(text: str) -> bool:
    """Whether the text has the form of an API key."""
    return _API_KEY.fullmatch(text) is not None


def check_key(*, scopes: Iterable[Scope], expires_at: datetime, at: datetime) -> frozenset[Scope]:
    """Return the scopes of an acceptable key; raise `ScopesMissing`, `InvalidKeyLifetime` (at most 366 days)."""
    chosen = frozenset(scopes)
    if not chosen:
        raise ScopesMissing
    if not at < expires_at <= at + API_KEY_LIFETIME_MAX:
        raise InvalidKeyLifetime
    return chosen


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """How many failures within `window` are borne: of one login from one address, of one login, from one address.

    The first is narrow against guessing, the others wide, so that a stranger cannot easily lock a user out.
    """

    window: timedelta = timedelta(minutes=15)
    login_and_address: int = 10
    login: int = 100
    address: int = 200


def check_attempts(limits: SignInLimits, *, login_and_address: int, login: int, address: int) -> None:
    """Refuse a further attempt when a count of failures within the window has reached its limit (`TooManySignIns`)."""
    if login_and_address >= limits.login_and_address or login >= limits.login or address >= limits.address:
        raise TooManySignIns(limits.window)
