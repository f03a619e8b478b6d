"""Hashing passwords: argon2id with the OWASP minimum (19 MiB, two passes, one lane), about 20 ms a try."""

import functools
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from marketplace.parties.domain import credentials

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_new(password: str, *, login: str) -> str:
    """Return the hash of an acceptable new password; raise `WeakPassword`."""
    return _HASHER.hash(credentials.check_password(password, login=login))


def fits(password_hash: str | None, password: str) -> bool:
    """Whether the password belongs to the hash; without one the same work is done and the answer is no."""
    try:
        _HASHER.verify(password_hash or _decoy(), credentials.normal_password(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)


def hash_again(password: str) -> str:
    """Return the hash of a password that has just been found right, with today's parameters."""
    return _HASHER.hash(credentials.normal_password(password))


@functools.cache
def _decoy() -> str:
    return _HASHER.hash(secrets.token_hex())
