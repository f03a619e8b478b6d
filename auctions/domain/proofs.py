"""Receipts and the chain: what lets a bidder prove its answer, and anyone prove that the log is whole.

Every attempt, accepted or refused, is answered by a receipt: canonical JSON (RFC 8785). Receipts that are decided
together are leaves of one Merkle tree, and its root is signed with Ed25519 (RFC 8032): one signature for all of them,
and each is proven by itself, by the hashes that lead from it to the root. The published key, SHA-256 and any JSON
library are enough to check it.

The receipts of accepted attempts and of the operator's acts form a hash chain; each names the head before it. Every
receipt has a random `nonce`: a hidden maximum, or another bidder's amount, can be guessed neither from two published
heads nor from the hashes of a path. Receipts of before batches (`SINGLE_TYPE`) were signed one by one over themselves.
"""

import base64
import binascii
import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auctions.domain import merkle
from auctions.domain.merkle import Inclusion

TYPE: Final = "auction-receipt-2"
"""Stands in every receipt, which is proven by its place in a signed batch."""

SINGLE_TYPE: Final = "auction-receipt-1"
"""Stood in receipts that were signed one by one; the signature is over the receipt itself, and part of the chain."""

_SINGLE_END: Final = f'"type":"{SINGLE_TYPE}"}}'.encode()

BATCH_TYPE: Final = "auction-receipts-1"
"""Stands beside every signed root: a signature over another kind of document is never one over receipts."""

DIGEST_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 16


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
class Draft:
    """A receipt that waits for the signature of its batch."""

    receipt: dict[str, Any]
    content: bytes
    leaf: bytes

    @property
    def chained(self) -> bytes:
        """What it adds to the chain."""
        return self.leaf


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt with the signature over its batch, and its place there; `inclusion` None: signed by itself."""

    receipt: dict[str, Any]
    content: bytes
    signature: bytes
    inclusion: Inclusion | None

    @classmethod
    def kept(cls, content: str, signature: bytes, inclusion: bytes | None = None) -> "SignedReceipt":
        """Return a receipt from its canonical text and its packed place, as they were stored."""
        receipt = orjson.loads(content)
        single = receipt["type"] == SINGLE_TYPE
        return cls(receipt, content.encode(), signature, None if single else Inclusion.unpacked(inclusion))

    @property
    def chained(self) -> bytes:
        """What it adds to the chain."""
        return merkle.leaf(self.content) if self.inclusion is not None else self.signature + self.content

    @property
    def document(self) -> dict[str, Any]:
        """What a bidder gets: `{"receipt", "signature", "key_id", "inclusion"}`, bytes in base64."""
        document = {
            "receipt": self.receipt,
            "signature": _shared_base64(self.signature),
            "key_id": self.receipt["key_id"],
        }
        if self.inclusion is not None:
            document["inclusion"] = inclusion_document(self.inclusion)
        return document

    def fault(self, public: bytes) -> str | None:
        """Return what keeps this from being a receipt of the key, in a sentence; None when it is one."""
        if self.inclusion is None:
            return None if verify(public, self.content, self.signature) else "the signature is not that of its key"
        root = merkle.root_of(merkle.leaf(self.content), self.inclusion)
        if root is None:
            return "its path is not as long as its place in the batch asks for"
        if not verify(public, batch_content(root, self.inclusion.size), self.signature):
            return "its path does not lead to a root with the signature of its key"
        return None


def key_id(public: bytes) -> str:
    """Return the name of a key: the first half of the SHA-256 of its public bytes, in hex."""
    return hashlib.sha256(public).hexdigest()[:32]


def bytes_hash(content: bytes) -> str:
    """Return `sha256:` and the hex SHA-256 of bytes, such as a sealed box."""
    return head_text(hashlib.sha256(content).digest())


def head_text(head: bytes) -> str:
    """Write a digest as it is published."""
    return f"sha256:{head.hex()}"


def genesis(rules_hash: str) -> bytes:
    """Return the head before anything happened: the hash of the public rules, as published before the opening."""
    return bytes.fromhex(rules_hash.removeprefix("sha256:"))


def draft(
    *,
    key_id: str,
    auction_id: str,
    rules_hash: str,
    head: bytes | None,
    event: dict[str, Any],
    answer: dict[str, Any],
    price: str | None,
    ends_at: str | None,
    key_digest: bytes | None,
) -> Draft:
    """Write the answer to one event down, to be signed with its batch by the key `key_id`.

    `event` and `answer` are those of the file format "auction replay" (amounts as text, instants as text, nothing
    null, the answer without its index); a sealed attempt's event holds `sealed`, the hash of its box, and no amount.
    `head` is the head before the event, None as long as the chain may not be told. `price` and `ends_at` are those
    after the event, also when it was refused, as text. `key_digest` is the SHA-256 of the idempotency key, which is its
    bidder's own word and never shown; None for acts of the operator.
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
        "idempotency_key_hash": None if key_digest is None else head_text(key_digest),
        "key_id": key_id,
        "nonce": os.urandom(NONCE_BYTES).hex(),
    }
    content = orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS)
    return Draft(receipt, content, merkle.leaf(content))


def sign(signer: Signer, drafts: Sequence[Draft], *, alone: bool = False) -> list[SignedReceipt]:
    """Sign a batch of at least one receipt at once; `alone`: each as a batch of its own, where numbers are hidden."""
    if alone and len(drafts) > 1:
        return [signed for one in drafts for signed in sign(signer, [one])]
    root, inclusions = merkle.plant([one.leaf for one in drafts])
    signature = signer.private.sign(batch_content(root, len(drafts)))
    return [
        SignedReceipt(one.receipt, one.content, signature, inclusion)
        for one, inclusion in zip(drafts, inclusions, strict=True)
    ]


def batch_content(root: bytes, size: int) -> bytes:
    """Return what is signed of a batch: `{"root", "size", "type"}` in canonical form."""
    return f'{{"root":"{head_text(root)}","size":{size},"type":"{BATCH_TYPE}"}}'.encode()


def link(previous: bytes, receipt: Draft | SignedReceipt) -> bytes:
    """Return the head after a receipt: SHA-256(head before ‖ the receipt's leaf), 32 bytes.

    Of a receipt signed by itself it is SHA-256(head before ‖ signature ‖ canonical receipt).
    """
    return hashlib.sha256(previous + receipt.chained).digest()


def linked(previous: bytes, *, signature: bytes, content: bytes) -> bytes:
    """Return what `link` does after a receipt whose canonical text, in which `type` comes last, need not be read."""
    chained = signature + content if content.endswith(_SINGLE_END) else merkle.leaf(content)
    return hashlib.sha256(previous + chained).digest()


def inclusion_document(inclusion: Inclusion) -> dict[str, Any]:
    """Return a place in a batch as JSON: `{"index", "size", "path"}`, the hashes in base64."""
    return {
        "index": inclusion.index,
        "size": inclusion.size,
        "path": [_shared_base64(beside) for beside in inclusion.path],
    }


def read_inclusion(document: Any) -> Inclusion | None:
    """Undo `inclusion_document` for a document in its one spelling; None for anything else."""
    if not isinstance(document, dict) or document.keys() != {"index", "size", "path"}:
        return None
    index, size, path = document["index"], document["size"], document["path"]
    if type(index) is not int or type(size) is not int or not isinstance(path, list):
        return None
    hashes = [decode_base64(beside) if isinstance(beside, str) else None for beside in path]
    whole = tuple(one for one in hashes if one is not None and len(one) == DIGEST_BYTES)
    if not 0 <= index < size <= merkle.MAX_SIZE or len(whole) != len(path):
        return None
    return Inclusion(index, size, whole)


@functools.lru_cache(maxsize=8192)
def verify(public: bytes, content: bytes, signature: bytes) -> bool:
    """Whether a signature over `content` was made with the private half of `public`; remembered: batches share one."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def encode_base64(content: bytes) -> str:
    """Write bytes in base64."""
    return binascii.b2a_base64(content, newline=False).decode()


_shared_base64: Final = functools.lru_cache(maxsize=2048)(encode_base64)
"""For the hashes of a tree, each of which stands in many paths."""


def decode_base64(text: str) -> bytes | None:
    """Read base64 in its one canonical spelling; None for anything else, also for bits that no byte needs."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if encode_base64(content) == text else None
