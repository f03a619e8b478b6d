"""Receipts and the chain: canonical, verifiable with nothing but the published key, hiding what must stay hidden."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions import log
from auctions.domain import merkle, proofs
from auctions.domain.canonical import canonical

SIGNER = proofs.Signer.of(bytes(range(32)))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EVENTS = st.fixed_dictionaries(
    {"at": TEXTS, "kind": TEXTS, "bidder": TEXTS}, optional={"amount": TEXTS, "lots": st.lists(TEXTS, max_size=3)}
)
ANSWERS = st.fixed_dictionaries({"accepted": st.booleans()}, optional={"sequence": st.integers(1, 2**53 - 1)})


def drafted(**more):
    values = {
        "key_id": SIGNER.key_id, "auction_id": "a", "rules_hash": "sha256:" + "0" * 64, "head": bytes(32),
        "event": {"kind": "bid"}, "answer": {"accepted": True, "sequence": 1}, "price": "100.00",
        "ends_at": "2026-03-02T13:00:00.000Z", "key_digest": bytes(32),
    }  # fmt: skip
    return proofs.draft(**(values | more))


def issue(**more):
    return proofs.sign(SIGNER, [drafted(**more)])[0]


def single(signer=SIGNER, head=bytes(32)):
    """A receipt as they were before batches: signed over itself."""
    receipt = drafted(head=head).receipt | {"type": proofs.SINGLE_TYPE}
    del receipt["nonce"]
    content = canonical(receipt)
    return proofs.SignedReceipt.kept(content.decode(), signer.private.sign(content))


BATCH = proofs.sign(SIGNER, [drafted() for _ in range(9)])


@settings(max_examples=60)
@given(event=EVENTS, answer=ANSWERS, price=st.none() | TEXTS, head=st.none() | st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_the_canonical_form_of_what_is_shown(event, answer, price, head):
    signed = issue(event=event, answer=answer, price=price, head=head)
    assert signed.content == canonical(signed.receipt)
    assert canonical(json.loads(json.dumps(signed.document["receipt"]))) == signed.content


def test_a_receipt_is_checked_with_the_published_key_alone():
    """The lines of docs/algorithms/proofs.md, for a receipt in the middle of a batch."""
    batch = proofs.sign(SIGNER, [drafted(event={"kind": "bid", "number": number}) for number in range(7)])
    document = json.loads(json.dumps(batch[4].document))
    plain = json.dumps(document["receipt"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    index, size = document["inclusion"]["index"], document["inclusion"]["size"]
    node, last = hashlib.sha256(b"\x00" + plain).digest(), size - 1
    for beside in map(base64.b64decode, document["inclusion"]["path"]):
        while index == last and index and not index & 1:
            index, last = index >> 1, last >> 1
        left, right = (beside, node) if index & 1 else (node, beside)
        node, index, last = hashlib.sha256(b"\x01" + left + right).digest(), index >> 1, last >> 1
    signed = json.dumps({"root": f"sha256:{node.hex()}", "size": size, "type": "auction-receipts-1"},
                        sort_keys=True, separators=(",", ":")).encode()  # fmt: skip
    Ed25519PublicKey.from_public_bytes(SIGNER.public).verify(base64.b64decode(document["signature"]), signed)
    assert document["key_id"] == hashlib.sha256(SIGNER.public).hexdigest()[:32] == document["receipt"]["key_id"]


@given(size=st.integers(1, 40))
def test_one_signature_proves_every_receipt_of_a_batch(size):
    batch = proofs.sign(SIGNER, [drafted() for _ in range(size)])
    assert len({one.signature for one in batch}) == 1
    for one in batch:
        kept = proofs.SignedReceipt.kept(one.content.decode(), one.signature, one.inclusion.packed)
        assert kept.fault(SIGNER.public) is None
        assert (kept.document, kept.chained) == (one.document, one.chained)
        assert proofs.read_inclusion(json.loads(json.dumps(one.document["inclusion"]))) == one.inclusion


def test_where_numbers_are_hidden_each_is_a_batch_of_its_own():
    batch = proofs.sign(SIGNER, [drafted() for _ in range(3)], alone=True)
    assert [one.document["inclusion"] for one in batch] == [{"index": 0, "size": 1, "path": []}] * 3
    assert all(one.fault(SIGNER.public) is None for one in batch)


@given(
    position=st.integers(0, 10_000), bit=st.integers(0, 7),
    which=st.sampled_from(["content", "signature", "key", "path"]),
)  # fmt: skip
def test_one_bit_flipped_anywhere_is_noticed(position, bit, which):
    signed = BATCH[3]
    parts = {"content": signed.content, "signature": signed.signature, "key": SIGNER.public,
             "path": signed.inclusion.packed}  # fmt: skip
    changed = bytearray(parts[which])
    changed[position % len(changed)] ^= 1 << bit
    parts[which] = bytes(changed)
    place = merkle.Inclusion.unpacked(parts["path"])
    other = proofs.SignedReceipt(signed.receipt, parts["content"], parts["signature"], place)
    assert other.fault(parts["key"]) is not None


@given(index=st.integers(0, 9), size=st.integers(1, 12), length=st.integers(0, 5))
def test_another_place_in_the_batch_proves_nothing(index, size, length):
    signed = BATCH[3]
    place = merkle.Inclusion(index, size, (*signed.inclusion.path, *[bytes(32)] * 5)[:length])
    other = proofs.SignedReceipt(signed.receipt, signed.content, signed.signature, place)
    assert (other.fault(SIGNER.public) is None) == (place == signed.inclusion)


@pytest.mark.parametrize(
    "document",
    [
        None, [], {}, {"index": 0, "size": 1}, {"index": 1, "size": 1, "path": []},
        {"index": -1, "size": 1, "path": []}, {"index": True, "size": 2, "path": []},
        {"index": 0, "size": 70_000, "path": []},
        {"index": 0, "size": 2, "path": ["QQ=="]}, {"index": 0, "size": 2, "path": [1]},
        {"index": 0, "size": 2, "path": ""},
        {"index": 0, "size": 1, "path": [], "x": 1},
    ],
)  # fmt: skip
def test_a_place_has_one_spelling(document):
    assert proofs.read_inclusion(document) is None


def test_receipts_of_before_batches_are_proven_as_they_were_made():
    old = single()
    assert old.fault(SIGNER.public) is None
    assert old.fault(proofs.Signer.of(bytes(32)).public) == "the signature is not that of its key"
    assert "inclusion" not in old.document
    assert proofs.link(bytes(32), old) == hashlib.sha256(bytes(32) + old.signature + old.content).digest()


def test_the_chain_begins_with_the_rules_and_depends_on_everything_before():
    start = proofs.genesis("sha256:" + "ab" * 32)
    assert start == bytes.fromhex("ab" * 32)
    first = issue(head=start)
    head = proofs.link(start, first)
    assert head == hashlib.sha256(start + hashlib.sha256(b"\x00" + first.content).digest()).digest()
    later = issue(head=head)
    assert proofs.link(head, later) != proofs.link(start, later)
    assert proofs.head_text(head) == later.receipt["head"]
    for one in (first, single()):
        same = proofs.linked(start, signature=one.signature, content=one.content)
        assert same == proofs.link(start, one)


def test_neither_head_nor_path_betrays_a_hidden_maximum():
    """Who knows everything of a receipt but its nonce cannot confirm a guess of the amount."""
    told = {"event": {"kind": "maximum", "amount": "900.00"}}
    one, twin = drafted(**told), drafted(**told)
    assert len(bytes.fromhex(one.receipt["nonce"])) == proofs.NONCE_BYTES
    assert one.leaf != twin.leaf
    assert proofs.link(bytes(32), one) != proofs.link(bytes(32), twin)


def test_an_idempotency_key_is_shown_only_as_a_hash():
    signed = issue(key_digest=log.key_digest("huaxin-asset-bid-7"))
    assert b"huaxin" not in signed.content
    assert signed.receipt["idempotency_key_hash"] == "sha256:" + hashlib.sha256(b"huaxin-asset-bid-7").hexdigest()


@pytest.mark.parametrize("text", ["", "QQ", "QR==", "Q Q==", "QQ==\n", "Q" * 5, "é"])
def test_base64_has_one_spelling(text):
    assert proofs.decode_base64("QQ==") == b"A"
    assert proofs.decode_base64(text) in {None, b""}
    assert (proofs.decode_base64(text) == b"") == (text == "")
