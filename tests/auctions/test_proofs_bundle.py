"""The bundle of real auctions: verified offline, and whatever is changed in it is found and named."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from auctions import evidence
from auctions.domain import bundle, proofs, sealing, verification
from auctions.domain.canonical import canonical
from tests.architecture.rules import ROOT
from tests.auctions.arena import ENDS, OPENS, SECOND, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture


def made(arena):
    with arena.sessions() as session:
        return evidence.make_bundle(
            session, auction_id=arena.auction_id, vault=arena.running.vault, actor=arena.people.auditor.actor
        )


def english(arena):
    arena.open(reserve=12_000)
    arena.bid("A", 100)
    arena.at(OPENS + SECOND)
    arena.bid("B", 120)
    arena.at(OPENS + 2 * SECOND)
    arena.steer("suspend")
    arena.at(OPENS + 3 * SECOND)
    arena.steer("resume")
    arena.bid("A", 150)
    arena.steer("void", name="A")
    arena.at(ENDS + timedelta(hours=1))
    assert arena.close() == 1
    return made(arena)


def sealed(arena, form):
    arena.open(rules(form))
    arena.seal()
    more = {"lots": ("L1",)} if form == "package" else {}
    for seconds, name, amount in ((1, "A", 150), (2, "B", 200), (2, "A", 170)):
        arena.at(OPENS + seconds * SECOND)
        assert arena.bid(name, amount, **more) is None
    arena.at(OPENS + 3 * SECOND)
    arena.steer("void", name="C")
    arena.at(ENDS)
    arena.unseal()
    assert arena.close() == 1
    return made(arena)


def parts(content):
    members, broken = bundle.unpack(content)
    assert not broken
    return {name: json.loads(data) for name, data in members}


def resigned(values, signer, **changed):
    """The bundle with members changed by somebody who can sign it again."""
    rest = {
        name: value for name, value in (values | changed).items() if name not in (bundle.MANIFEST, bundle.SIGNATURE)
    }
    return bundle.build(rest, auction_id=values["manifest.json"]["auction_id"], made_at="x", signer=signer)


def codes(content, **more):
    return {(one.member, one.code) for one in verification.verify(content, **more).findings}


@pytest.fixture
def content(arena):
    return english(arena)


def test_an_english_auction_verifies_with_nothing_but_the_published_keys(arena, content):
    published = parts(content)["keys.json"]
    verdict = verification.verify(content, published=published)
    assert verdict.findings == []
    assert verdict.checked["receipts"] == 6
    assert verdict.checked["awards"] == 1
    assert made(arena) == content
    assert all(str(who.organisation_id) not in content.decode("latin-1") for who in (arena.people.buyer,))
    assert codes(content, published=[]) == {("keys.json", "unreadable")}


@pytest.mark.parametrize("form", ["sealed_first_price", "sealed_second_price", "package"])
def test_a_sealed_auction_verifies_box_by_box(arena, form):
    content = sealed(arena, form)
    verdict = verification.verify(content)
    assert verdict.findings == []
    assert verdict.checked["boxes"] == 3
    assert ("solver.json" in parts(content)) == (form == "package")


@pytest.mark.parametrize("form", ["english", "sealed_second_price", "package"])
def test_one_flipped_byte_anywhere_is_found_and_named(arena, form):
    """Every byte of the archive, each with another bit flipped: whose it is, is said."""
    content = english(arena) if form == "english" else sealed(arena, form)
    position = 0
    for piece in bundle.layout(bundle.unpack(content)[0]):
        for at in range(position, position + len(piece.content)):
            changed = bytearray(content)
            changed[at] ^= 1 << at % 8
            named = {one.member for one in verification.verify(bytes(changed)).findings}
            assert piece.member in named, (piece.member, at - position, named)
        position += len(piece.content)
    assert position == len(content)


def test_what_is_added_cut_or_reordered_is_found(content):
    members = list(bundle.unpack(content)[0])
    swapped = [members[1], members[0], *members[2:]]
    assert codes(content + b"\0") == {("archive", "bytes_changed")}
    assert codes(content[:-2] + b"\x01\0x") == {("archive", "bytes_changed")}
    assert codes(b"\0" + content)
    assert codes(content[:-1])
    assert codes(content[: len(content) // 2])
    assert codes(bundle.pack(swapped)) == {("archive", "members_out_of_order")}
    assert codes(bundle.pack(members[:-1])) == {("awards.json", "missing_member")}
    assert codes(bundle.pack([*members, ("extra.json", b"{}")])) == {("extra.json", "unexpected_member")}
    assert ("awards.json", "unexpected_member") in codes(bundle.pack([*members, members[-1]]))


def test_a_member_changed_and_packed_again_is_found_by_hash_or_signature(content):
    original = dict(bundle.unpack(content)[0])
    for name, content_of in original.items():
        value = json.loads(content_of)
        if isinstance(value, list):
            value.append({"key_id": "x", "public_key": "AAAA"})
        else:
            value["x"] = 1
        changed = original | {name: canonical(value)}
        assert name in {member for member, _ in codes(bundle.pack(list(changed.items())))}
        changed[name] += b"\n"
        assert (name, "not_canonical") in codes(bundle.pack(list(changed.items())))


def test_whoever_can_sign_anew_is_caught_by_what_it_cannot_make_agree(arena, content):
    values, signer = parts(content), proofs.Signer.of(bytes(32))
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)
    assert codes(resigned(values, own)) == set()
    other_key = {"key_id": signer.key_id, "public_key": proofs.encode_base64(signer.public),
                 "valid_from": "2020-01-01T00:00:00.000Z", "valid_until": None}  # fmt: skip
    stranger = resigned(values, signer, **{"keys.json": [*values["keys.json"], other_key]})
    assert codes(stranger) == set()
    assert codes(stranger, published=values["keys.json"]) == {("keys.json", "unreadable")}

    def change(name, edit):
        value = json.loads(json.dumps(values[name]))
        edit(value)
        return codes(resigned(values, own, **{name: value}))

    assert ("rules.json", "rules_changed") in change("rules.json", lambda v: v.update(start_price="99.00"))
    assert ("reserve.json", "reserve_changed") in change("reserve.json", lambda v: v.update(reserve_price="110.00"))
    assert ("reserve.json", "reserve_changed") in change("reserve.json", lambda v: v.update(salt="other"))
    assert ("result.json", "result_differs") in change("result.json", lambda v: v.update(winner="B-1001"))
    assert ("receipts.json", "receipt_wrong") in change("replay.json", lambda v: v["events"][1].update(amount="130.00"))
    assert ("receipts.json", "receipts_incomplete") in change("receipts.json", lambda v: v.pop())
    assert ("auction.json", "head_wrong") in change("auction.json", lambda v: v.update(head="sha256:" + "0" * 64))
    assert ("awards.json", "award_not_proposed") in change("awards.json", lambda v: v[0].update(price="1.00"))
    assert ("auction.json", "outcome_differs") in change("auction.json", lambda v: v.update(outcome="unsold"))
    assert ("manifest.json", "other_auction") in change("auction.json", lambda v: v.update(auction_id="another"))
    assert ("auction.json", "log_hash_wrong") in change("auction.json", lambda v: v.update(log_hash="sha256:0"))
    for name, broken in (
        ("rules.json", 1),
        ("receipts.json", [{}]),
        ("keys.json", [{"key_id": 1}]),
        ("awards.json", [1]),
    ):
        assert codes(resigned(values, own, **{name: broken})), name


def signed_anew(members, manifest, signer):
    """A bundle whose manifest says whatever it says, signed by a key that is in it."""
    content = canonical(manifest)
    signature = {
        "key_id": signer.key_id,
        "manifest": proofs.bytes_hash(content),
        "signature": proofs.encode_base64(signer.private.sign(content)),
    }
    return bundle.pack([(bundle.MANIFEST, content), (bundle.SIGNATURE, canonical(signature)), *members])


def test_a_manifest_of_any_shape_is_a_finding_and_no_crash(arena, content):
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)
    manifest, *rest = bundle.unpack(content)[0]
    said, members = json.loads(manifest[1]), rest[1:]
    assert codes(signed_anew(members, said, own)) == set()
    for odd in (0, None, [], "x", [said], {}):
        assert codes(signed_anew(members, odd, own)) == {(bundle.MANIFEST, "not_a_manifest")}
    for rows in (None, 1, {}, [1], [[], None], ["rules.json"], said["members"][:-1], said["members"][::-1]):
        assert codes(signed_anew(members, said | {"members": rows}, own)) == {(bundle.MANIFEST, "manifest_incomplete")}
    gone = codes(signed_anew(members, said | {"members": [*said["members"], {"name": "sealed.json"}]}, own))
    assert gone == {("sealed.json", "missing_member"), (bundle.MANIFEST, "manifest_incomplete")}


@pytest.mark.parametrize("name", ["awards.json", "x"])
def test_an_archive_of_countless_members_is_refused_at_once(name):
    """More members than a directory can count, and more than names can be compared of."""
    one = next(piece.content for piece in bundle.layout([(name, b"")]))
    assert ("archive", "bytes_changed") in codes(one * 70_000)


def batched(arena):
    """An auction whose first three bids were decided, and signed, together."""
    arena.open()
    arena.batch(arena.attempt("A", 100), arena.attempt("B", 110), arena.attempt("C", 120))
    arena.at(OPENS + SECOND)
    arena.bid("A", 130)
    arena.at(ENDS + timedelta(hours=1))
    assert arena.close() == 1
    return made(arena)


def test_receipts_of_one_batch_verify_and_another_path_is_found_and_named(arena):
    content = batched(arena)
    values = parts(content)
    assert verification.verify(content, published=values["keys.json"]).findings == []
    assert [row["inclusion"]["size"] for row in values["receipts.json"]] == [3, 3, 3, 1]
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)

    def faults(edit):
        rows = json.loads(json.dumps(values["receipts.json"]))
        edit(rows)
        found = verification.verify(resigned(values, own, **{"receipts.json": rows})).findings
        return [(one.member, one.code, one.detail) for one in found]

    def swap(rows):
        rows[0]["inclusion"], rows[1]["inclusion"] = rows[1]["inclusion"], rows[0]["inclusion"]

    wrong = "its path does not lead to a root with the signature of its key"
    long = "its path is not as long as its place in the batch asks for"
    odd = "its place in the batch is not written as in every bundle"
    hashes = proofs.encode_base64(bytes(32))
    for place, edit, fault in (
        (1, lambda rows: rows[1]["inclusion"]["path"].__setitem__(0, hashes), wrong),
        (2, lambda rows: rows[2].update(signature=rows[3]["signature"]), wrong),
        (0, lambda rows: rows[0]["inclusion"].update(size=4), wrong),
        (0, lambda rows: rows[0]["inclusion"]["path"].pop(), long),
        (3, lambda rows: rows[3]["inclusion"]["path"].append(hashes), long),
        (3, lambda rows: rows[3]["inclusion"].update(index=1), odd),
    ):
        assert faults(edit) == [("receipts.json", "receipt_wrong", f"receipt {place}: {fault}")]
    assert {detail for _, _, detail in faults(swap)} == {f"receipt 0: {wrong}", f"receipt 1: {wrong}"}


def test_an_entry_signed_by_itself_as_before_batches_still_verifies(arena, content):
    """Receipts are rewritten as they were made before: without a nonce, each under its own signature."""
    values = parts(content)
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)
    head, rows = proofs.genesis(values["auction.json"]["rules_hash"]), []
    for row in values["receipts.json"]:
        receipt = {name: value for name, value in row["receipt"].items() if name != "nonce"}
        receipt |= {"type": proofs.SINGLE_TYPE, "head": proofs.head_text(head)}
        signature = own.private.sign(canonical(receipt))
        rows.append({"event": row["event"], "receipt": receipt, "signature": proofs.encode_base64(signature)})
        head = proofs.link(head, proofs.SignedReceipt(receipt, canonical(receipt), signature, None))
    auction = values["auction.json"] | {"head": proofs.head_text(head)}
    old = {"receipts.json": rows, "auction.json": auction}
    assert codes(resigned(values, own, **old)) == set()
    rows[2]["receipt"]["price"] = "1.00"
    assert ("receipts.json", "receipt_wrong") in codes(resigned(values, own, **old))


def test_a_key_out_of_force_is_named(arena, content):
    values = parts(content)
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)
    keys = [values["keys.json"][0] | {"valid_until": "2026-03-02T12:00:00.500Z"}]
    assert ("receipts.json", "receipt_wrong") in codes(resigned(values, own, **{"keys.json": keys}))


def test_a_box_exchanged_is_found(arena):
    values = parts(sealed(arena, "sealed_first_price"))
    with arena.sessions() as session:
        own = evidence.signing.signer(session, vault=arena.running.vault, at=ENDS)
    room = json.loads(json.dumps(values["sealed.json"]))
    public = bytes.fromhex(room["public"])
    event = values["replay.json"]["events"][room["boxes"][0]["event"]]
    room["boxes"][0]["box"] = proofs.encode_base64(sealing.seal(public, canonical(event), room=400))
    assert codes(resigned(values, own, **{"sealed.json": room})) == {
        ("sealed.json", "box_wrong"),
        ("sealed.json", "books_wrong"),
    }
    room["private"] = sealing.new_key().private.hex()
    assert codes(resigned(values, own, **{"sealed.json": room})) == {
        ("sealed.json", "key_changed"),
        ("sealed.json", "books_wrong"),
    }


def test_the_command_says_all_right_wrong_or_no_bundle(content, tmp_path):
    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "auctions", "verify", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout and json.loads(done.stdout), done.stderr

    good, bad, none = tmp_path / "a.zip", tmp_path / "b.zip", tmp_path / "c.zip"
    good.write_bytes(content)
    changed = bytearray(content)
    changed[len(content) // 2] ^= 4
    bad.write_bytes(changed)
    none.write_bytes(b"hello")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"items": parts(content)["keys.json"], "next": None}))
    code, verdict, _ = run(good, keys)
    assert (code, verdict["ok"], verdict["keys"]) == (0, True, "published")
    code, verdict, _ = run(bad)
    assert (code, verdict["ok"]) == (1, False)
    for missing in ((none,), (tmp_path / "absent",), (good, none)):
        code, verdict, error = run(*missing)
        assert (code, verdict) == (2, "")
        assert "Traceback" not in error
