"""Receipts and the chain: what lets a bidder prove its answer, and anyone prove that the log is whole.

Every attempt is answered by a receipt, signed with Ed25519 (RFC 8032) over its canonical JSON (RFC 8785) and nothing
else, so that the published key and any JSON library are enough to check it. The signed receipts of accepted attempts
and of the operator's acts form a hash chain; each names the head before it. The signature is part of the link: a hidden
maximum cannot be guessed from two published heads, because nobody else can make the signature over the guess.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TYPE: Final = "auction-receipt-1"
"""Stands in every receipt: a signature over another kind of document is never one over a receipt."""

DIGEST_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key of the installation; `key_id` follows from its public half."""

    key_id: str
    private: Ed25519PrivateKey

    @classmethod
    def of(cls, private: bytes) -> "Signer":
        """Return the signer of 32 private bytes."""
        key = Ed25519PrivateKey.from_private_bytes(private)
        return cls(key_id(key.public_key().public_bytes_raw()), key)

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return self.private.public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt with the bytes that were signed. `link` continues the chain with it."""

    receipt: dict[str, Any]
    content: bytes
    signature: bytes

    @classmethod
    def kept(cls, content: str, signature: bytes) -> "SignedReceipt":
        """Return a receipt from its canonical text as it was stored."""
        return cls(orjson.loads(content), content.encode(), signature)

    @property
    def document(self) -> dict[str, Any]:
        """What a bidder gets: `{"receipt", "signature", "key_id"}`, the signature in base64."""
        return {
            "receipt": self.receipt,
            "signature": encode_base64(self.signature),
            "key_id": self.receipt["key_id"],
        }


def key_id(public: bytes) -> str:
    """Return the name of a key: the first half of the SHA-256 of its public bytes, in hex."""
    return hashlib.sha256(public).hexdigest()[:32]


def text_hash(text: str) -> str:
    """Return `sha256:` and the hex SHA-256 of a text; idempotency keys are bidders' words and shown only so."""
    return bytes_hash(text.encode())


def bytes_hash(content: bytes) -> str:
    """Return `sha256:` and the hex SHA-256 of bytes, such as a sealed box."""
    return head_text(hashlib.sha256(content).digest())


def head_text(head: bytes) -> str:
    """Write a digest as it is published."""
    return f"sha256:{head.hex()}"


def genesis(rules_hash: str) -> bytes:
    """Return the head before anything happened: the hash of the public rules, as published before the opening."""
    return bytes.fromhex(rules_hash.removeprefix("sha256:"))


def issue(
    signer: Signer,
    *,
    auction_id: str,
    rules_hash: str,
    head: bytes | None,
    event: dict[str, Any],
    answer: dict[str, Any],
    price: str | None,
    ends_at: str | None,
    idempotency_key: str | None,
) -> SignedReceipt:
    """Sign the answer to one event.

    `event` and `answer` are those of the file format "auction replay" (amounts as text, instants as text, nothing
    null, the answer without its index); a sealed attempt's event holds `sealed`, the hash of its box, and no amount.
    `head` is the head before the event, None as long as the chain may not be told. `price` and `ends_at` are those
    after the event, also when it was refused, as text. `idempotency_key` is None for acts of the operator.
    """
    receipt = {
        "type": TYPE,
        "auction_id": auction_id,
        "rules_hash": rules_hash,
        "head": None if head is None else head_text(head),
        "event": event,
        "answer": answer,
        "price": price,
        "ends_at": ends_at,
        "idempotency_key_hash": None if idempotency_key is None else text_hash(idempotency_key),
        "key_id": signer.key_id,
    }
    content = orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS)
    return SignedReceipt(receipt, content, signer.private.sign(content))


def link(previous: bytes, signed: SignedReceipt) -> bytes:
    """Return the head after a signed receipt: SHA-256(head before ‖ signature ‖ canonical receipt), 32 bytes."""
    return linked(previous, signature=signed.signature, content=signed.content)


def linked(previous: bytes, *, signature: bytes, content: bytes) -> bytes:
    """Return the head after a receipt whose text need not be read for it."""
    return hashlib.sha256(previous + signature + content).digest()


def verify(public: bytes, content: bytes, signature: bytes) -> bool:
    """Whether a signature over `content` was made with the private half of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def encode_base64(content: bytes) -> str:
    """Write bytes in base64."""
    return base64.b64encode(content).decode()


def decode_base64(text: str) -> bytes | None:
    """Read base64 in its one canonical spelling; None for anything else, also for bits that no byte needs."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if encode_base64(content) == text else None
