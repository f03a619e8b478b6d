"""Receipts and the chain: canonical, verifiable with nothing but the published key, hiding what must stay hidden."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions.domain import proofs
from auctions.domain.canonical import canonical

SIGNER = proofs.Signer.of(bytes(range(32)))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EVENTS = st.fixed_dictionaries(
    {"at": TEXTS, "kind": TEXTS, "bidder": TEXTS}, optional={"amount": TEXTS, "lots": st.lists(TEXTS, max_size=3)}
)
ANSWERS = st.fixed_dictionaries({"accepted": st.booleans()}, optional={"sequence": st.integers(1, 2**53 - 1)})


def issue(**more):
    values = {
        "auction_id": "a", "rules_hash": "sha256:" + "0" * 64, "head": bytes(32), "event": {"kind": "bid"},
        "answer": {"accepted": True, "sequence": 1}, "price": "100.00", "ends_at": "2026-03-02T13:00:00.000Z",
        "idempotency_key": "k",
    }  # fmt: skip
    return proofs.issue(SIGNER, **(values | more))


@settings(max_examples=60)
@given(event=EVENTS, answer=ANSWERS, price=st.none() | TEXTS, head=st.none() | st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_the_canonical_form_of_what_is_shown(event, answer, price, head):
    signed = issue(event=event, answer=answer, price=price, head=head)
    assert signed.content == canonical(signed.receipt)
    assert canonical(json.loads(json.dumps(signed.document["receipt"]))) == signed.content


def test_a_receipt_is_checked_with_the_published_key_alone():
    document = json.loads(json.dumps(issue().document))
    plain = json.dumps(document["receipt"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    Ed25519PublicKey.from_public_bytes(SIGNER.public).verify(base64.b64decode(document["signature"]), plain)
    assert document["key_id"] == hashlib.sha256(SIGNER.public).hexdigest()[:32] == document["receipt"]["key_id"]


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7), which=st.sampled_from(["content", "signature", "key"]))
def test_one_bit_flipped_anywhere_is_noticed(position, bit, which):
    signed = issue()
    parts = {"content": signed.content, "signature": signed.signature, "key": SIGNER.public}
    assert proofs.verify(parts["key"], parts["content"], parts["signature"])
    changed = bytearray(parts[which])
    changed[position % len(changed)] ^= 1 << bit
    parts[which] = bytes(changed)
    assert not proofs.verify(parts["key"], parts["content"], parts["signature"])


def test_the_chain_begins_with_the_rules_and_depends_on_everything_before():
    start = proofs.genesis("sha256:" + "ab" * 32)
    assert start == bytes.fromhex("ab" * 32)
    first = issue(head=start)
    head = proofs.link(start, first)
    assert head == hashlib.sha256(start + first.signature + first.content).digest()
    assert proofs.link(head, issue(head=head)) != proofs.link(start, issue(head=head))
    assert proofs.head_text(head) == issue(head=head).receipt["head"]


def test_a_head_does_not_betray_a_hidden_maximum():
    """Who knows everything of a receipt but its signature cannot confirm a guess of the amount."""
    signed = issue(event={"kind": "maximum", "amount": "900.00"})
    head = proofs.link(bytes(32), signed)
    assert hashlib.sha256(bytes(32) + signed.content).digest() != head
    other = proofs.Signer.of(bytes(32))
    guess = proofs.SignedReceipt(signed.receipt, signed.content, other.private.sign(signed.content))
    assert proofs.link(bytes(32), guess) != head


def test_an_idempotency_key_is_shown_only_as_a_hash():
    signed = issue(idempotency_key="huaxin-asset-bid-7")
    assert b"huaxin" not in signed.content
    assert signed.receipt["idempotency_key_hash"] == "sha256:" + hashlib.sha256(b"huaxin-asset-bid-7").hexdigest()


@pytest.mark.parametrize("text", ["", "QQ", "QR==", "Q Q==", "QQ==\n", "Q" * 5, "é"])
def test_base64_has_one_spelling(text):
    assert proofs.decode_base64("QQ==") == b"A"
    assert proofs.decode_base64(text) in {None, b""}
    assert (proofs.decode_base64(text) == b"") == (text == "")
