"""Sealed boxes: what is put in can be read only with the private half of the auction's key.

A box is an X25519 exchange with a key made for this box alone, HKDF-SHA-256 over the shared secret and both public
keys (RFC 5869), and ChaCha20-Poly1305 (RFC 8439). Every box of an auction has the same length, whatever is in it, and a
dummy is a box like any other: without the private half nobody tells a bid from nothing.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
OVERHEAD: Final = KEY_BYTES + 4 + 16
"""What a box is longer than its room: the key of the box, the length of the content, the tag."""

_NONCE: Final = bytes(12)
"""The key of a box is used once, so the nonce may stand still."""


class CannotOpen(Exception):
    """The box was not made for this key, or a byte of it was changed."""


class TooLong(ValueError):
    """The content does not fit the boxes of this auction."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An auction's sealing key; each half 32 bytes."""

    private: bytes
    public: bytes


def new_key() -> KeyPair:
    """Make a key."""
    private = X25519PrivateKey.generate()
    return KeyPair(private.private_bytes_raw(), private.public_key().public_bytes_raw())


def public_of(private: bytes) -> bytes:
    """Return the public half of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def seal(public: bytes, content: bytes, *, room: int) -> bytes:
    """Return a box of `room + OVERHEAD` bytes that only the private half of `public` opens; raise `TooLong`."""
    if len(content) > room:
        raise TooLong(f"{len(content)} bytes in a room of {room}")
    once = X25519PrivateKey.generate()
    own = once.public_key().public_bytes_raw()
    cipher = _cipher(once.exchange(X25519PublicKey.from_public_bytes(public)), own, public)
    plain = len(content).to_bytes(4, "big") + content.ljust(room, b"\0")
    return own + cipher.encrypt(_NONCE, plain, None)


def open_box(private: bytes, box: bytes) -> bytes:
    """Return what is in a box, empty for a dummy; raise `CannotOpen`."""
    key = X25519PrivateKey.from_private_bytes(private)
    own = box[:KEY_BYTES]
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(own))
        plain = _cipher(shared, own, key.public_key().public_bytes_raw()).decrypt(_NONCE, box[KEY_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen from error
    length, rest = int.from_bytes(plain[:4], "big"), plain[4:]
    if length > len(rest) or any(rest[length:]):
        raise CannotOpen
    return rest[:length]


def _cipher(shared: bytes, own: bytes, public: bytes) -> ChaCha20Poly1305:
    info = b"auction sealed box 1" + own + public
    return ChaCha20Poly1305(HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(shared))
