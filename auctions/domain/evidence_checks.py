"""What a bundle states, each statement against the others: rules, reserve, result, receipts, chain, boxes, awards."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from auctions.domain import commitments, merkle, proofs, sealing
from auctions.domain.canonical import canonical, fingerprint
from auctions.domain.findings import Contents, Finding, Unreadable
from auctions.domain.replay import replay, winning_bids
from marketplace.documents import Node

_HIDDEN: Final = frozenset({"amount", "lots"})
"""What a sealed receipt does not tell of its event."""


def check_rules(contents: Contents) -> Iterator[Finding]:
    """The rules are those whose hash was published, and the replay is played under them and the revealed reserve."""
    auction, rules, complete = contents["auction.json"], contents["rules.json"], contents["replay.json"]["rules"]
    contents.count("rules")
    if fingerprint(rules) != auction["rules_hash"]:
        yield Finding("rules.json", "rules_changed", "The hash of the rules is not the published one.")
    reserve = contents["reserve.json"]
    kept = {name: value for name, value in complete.items() if name != "reserve_price"}
    if kept != rules or complete.get("reserve_price") != reserve["reserve_price"]:
        yield Finding("replay.json", "other_rules", "The replay is played under other rules, or another reserve.")


def check_auction(contents: Contents) -> Iterator[Finding]:
    """The auction is the one that the manifest names, and it is said to have ended as the result has it."""
    auction = contents["auction.json"]
    if auction["auction_id"] != contents["manifest.json"]["auction_id"]:
        yield Finding("manifest.json", "other_auction", "The manifest names another auction than `auction.json`.")
    if auction["outcome"] != contents["result.json"]["state"]:
        yield Finding("auction.json", "outcome_differs", "The outcome is not the state of the result.")


def check_reserve(contents: Contents) -> Iterator[Finding]:
    """The reserve is the one that was committed before bidding opened."""
    reserve = contents["reserve.json"]
    contents.count("reserve")
    committed = fingerprint({name: reserve[name] for name in ("currency", "reserve_price", "salt")})
    if committed != reserve["commitment"] or committed != contents["auction.json"]["reserve_commitment"]:
        yield Finding("reserve.json", "reserve_changed", "The reserve and its salt do not give the published hash.")
    if reserve["currency"] != contents["rules.json"]["currency"]:
        yield Finding("reserve.json", "other_currency", "The reserve is in another currency than the rules.")


def check_result(contents: Contents) -> Iterator[Finding]:
    """The pure engine gives the stated result when it plays the log again."""
    stated = contents["result.json"]
    found = replay(Node(contents["replay.json"]))
    contents.count("events", len(found["answers"]))
    if stated["log_hash"] != contents["auction.json"]["log_hash"]:
        yield Finding("auction.json", "log_hash_wrong", "The hash of the log is not the one that closing published.")
    for name in sorted(found.keys() | stated.keys()):
        if name != "engine" and found.get(name) != stated.get(name):
            detail = f"{name}: the replay gives another value than the result states."
            yield Finding("result.json", "result_differs", detail)
    refused = [answer["event"] for answer in found["answers"] if not answer["accepted"]]
    if refused and contents["sealed.json"] is None:
        yield Finding(
            "replay.json", "refused_in_log", f"The rules refuse events of the log, the first is {refused[0]}."
        )


def check_receipts(contents: Contents) -> Iterator[Finding]:
    """Every entry of the log has a receipt signed by a known key, saying what log and replay say, linked to the last.

    Sealed attempts are no entries of the chain: `check_boxes` holds them against their receipts. An entry of before
    receipts were signed has only its hash, which is counted and believed.
    """
    keys, auction = _keys(contents), contents["auction.json"]
    head, seen = proofs.genesis(auction["rules_hash"]), []
    for place, row in enumerate(contents["receipts.json"]):
        seen.append(row["event"])
        if row["receipt"] is None:
            head = bytes.fromhex(row["hash"])
            contents.count("entries_without_receipt")
            continue
        faults = _receipt_faults(row, contents, proofs.head_text(head), sealed=False)
        faults += _signature_faults(keys, row)
        for fault in faults:
            yield Finding("receipts.json", "receipt_wrong", f"receipt {place}: {fault}")
        head = proofs.link(head, _kept(row))
        contents.count("receipts")
    boxes = [row["event"] for row in (contents["sealed.json"] or {"boxes": []})["boxes"]]
    if sorted([*seen, *boxes]) != list(range(len(contents["replay.json"]["events"]))):
        yield Finding("receipts.json", "receipts_incomplete", "Events without a receipt, or receipts without an event.")
    if proofs.head_text(head) != auction["head"]:
        yield Finding("auction.json", "head_wrong", "The chain of receipts does not end in the published head.")


def _receipt_faults(row: Mapping[str, Any], contents: Contents, head: str | None, *, sealed: bool) -> list[str]:
    """Hold a receipt against event and answer of the replay. What a receipt may leave out of its event, it leaves out.

    A reason, and the price of an acceptance that named none, stand in the log alone; a sealed receipt tells no amount.
    """
    receipt, event = row["receipt"], contents["replay.json"]["events"][row["event"]]
    answer = {
        name: value for name, value in contents["result.json"]["answers"][row["event"]].items() if name != "event"
    }
    optional = _HIDDEN if sealed else {"reason", "amount"} if event["kind"] == "accept" else {"reason"}
    told = {name: value for name, value in receipt["event"].items() if not (sealed and name == "sealed")}
    missing = event.keys() - told.keys() - optional
    checks = {
        "it is no receipt": receipt["type"] in (proofs.TYPE, proofs.SINGLE_TYPE),
        "it is of another auction": receipt["auction_id"] == contents["auction.json"]["auction_id"],
        "it is under other rules": receipt["rules_hash"] == contents["auction.json"]["rules_hash"],
        "the event is another": not missing and all(event.get(name) == value for name, value in told.items()),
        "the answer is another": sealed or receipt["answer"] == answer,
        "the price after it is another": sealed or answer.get("price", receipt["price"]) == receipt["price"],
        "the end after it is another": answer.get("ends_at", receipt["ends_at"]) == receipt["ends_at"],
        "the head before it is another": receipt["head"] == head,
    }
    return [fault for fault, holds in checks.items() if not holds]


def _kept(row: Mapping[str, Any]) -> proofs.SignedReceipt:
    """Return the receipt of a row; a place that cannot be read is the place of the only one, which proves nothing."""
    receipt, signature = row["receipt"], proofs.decode_base64(row["signature"]) or b""
    single = receipt["type"] == proofs.SINGLE_TYPE
    place = None if single else proofs.read_inclusion(row["inclusion"]) or merkle.ALONE
    return proofs.SignedReceipt(receipt, canonical(receipt), signature, place)


def _signature_faults(keys: Mapping[str, Mapping[str, Any]], row: Mapping[str, Any]) -> list[str]:
    receipt, signed = row["receipt"], _kept(row)
    key = keys.get(receipt["key_id"])
    if key is None:
        return ["its key is not among the keys"]
    if signed.inclusion is not None and proofs.read_inclusion(row["inclusion"]) is None:
        return ["its place in the batch is not written as in every bundle"]
    fault = signed.fault(key["public"])
    if fault is not None:
        return [fault]
    at, until = receipt["event"]["at"], key["valid_until"]
    in_force = key["valid_from"] <= at and (until is None or at < until)
    return [] if in_force else ["its key was not in force at its time"]


def _keys(contents: Contents) -> dict[str, Mapping[str, Any]]:
    """Return the keys by id, as the reader knows them where it brought its own; raise `Unreadable` for another's id."""
    keys: dict[str, Mapping[str, Any]] = {}
    for row in contents["keys.json"]:
        public = proofs.decode_base64(row["public_key"])
        if public is None or proofs.key_id(public) != row["key_id"]:
            raise Unreadable("keys.json", "A key is not the one that its id names.")
        keys[row["key_id"]] = {**row, "public": public}
    if contents.published is not None:
        known = {row["key_id"]: row["public_key"] for row in contents.published}
        for name, row in keys.items():
            if known.get(name) != row["public_key"]:
                raise Unreadable("keys.json", f"The key {name} is not among the published ones.")
    return keys


def check_boxes(contents: Contents) -> Iterator[Finding]:
    """Every box opens with the revealed key, holds its event, and has the hash that its receipt named on arrival."""
    sealed, events = contents["sealed.json"], contents["replay.json"]["events"]
    if sealed is None:
        return
    private = bytes.fromhex(sealed["private"])
    if sealing.public_of(private).hex() != sealed["public"]:
        yield Finding("sealed.json", "key_changed", "The two halves of the sealing key do not belong together.")
        return
    keys = _keys(contents)
    for place, row in enumerate(sealed["boxes"]):
        faults = _box_faults(row, private, events) + _receipt_faults(row, contents, None, sealed=True)
        for fault in faults + _signature_faults(keys, row):
            yield Finding("sealed.json", "box_wrong", f"box {place}: {fault}")
        contents.count("boxes")


def _box_faults(row: Mapping[str, Any], private: bytes, events: Any) -> list[str]:
    box = proofs.decode_base64(row["box"]) or b""
    try:
        event = orjson.loads(sealing.open_box(private, box))
    except (sealing.CannotOpen, orjson.JSONDecodeError):
        return ["it does not open with the revealed key"]
    faults = [] if event == events[row["event"]] else ["it holds another attempt than the log"]
    named = row["receipt"]["event"].get("sealed") == proofs.bytes_hash(box)
    return faults if named else [*faults, "its receipt names another box"]


def check_books(contents: Contents) -> Iterator[Finding]:
    """The books opened are those of the last commitment, made at or after the end, and hold just the bundle's boxes.

    An auction of before there were commitments has none, which is counted and believed; then none was published.
    """
    sealed, published = contents["sealed.json"], contents["auction.json"].get("books_head")
    if sealed is None:
        return
    rows = sealed.get("commitments")
    if not rows and published is None:
        contents.count("books_without_commitment")
        return
    faults = _chain_faults(rows, contents) + _content_faults(sealed)
    contents.count("commitments", len(rows))
    for fault in faults:
        yield Finding("sealed.json", "books_wrong", fault)


def _chain_faults(rows: Sequence[Mapping[str, Any]], contents: Contents) -> list[str]:
    """Play the chain of commitments: its head, its last digest, and no attempt dated where the books stood still."""
    sealed, auction = contents["sealed.json"], contents["auction.json"]
    seed, books = bytes.fromhex(sealed["seed"]), _boxes_of(sealed)
    head, before, attempts = commitments.genesis(auction["rules_hash"], seed), None, _times(contents)
    faults: list[str] = []
    for number, row in enumerate(rows, 1):
        veiled = bytes.fromhex(row["veiled"])
        head = commitments.link(head, number=number, at=row["at"], veiled=veiled)
        found = commitments.unveil(seed, number=number, veiled=veiled)
        if before is not None and before[0] == found and any(before[1] < at < row["at"] for at in attempts):
            faults.append(f"commitment {number}: an attempt is dated where the books stood still")
        before = found, row["at"]
    if before is None or proofs.head_text(head) != auction["books_head"]:
        return [*faults, "the chain of commitments does not end in the published head"]
    if before[1] < contents["result.json"]["ends_at"]:
        faults.append("the last commitment was made before the end")
    if before[0] != commitments.digest(books):
        faults.append("the books opened are not those of the last commitment")
    return faults


def _times(contents: Contents) -> list[str]:
    return [contents["replay.json"]["events"][row["event"]]["at"] for row in contents["sealed.json"]["boxes"]]


def _boxes_of(sealed: Mapping[str, Any]) -> list[list[bytes]]:
    return [[proofs.decode_base64(box) or b"" for box in boxes] for boxes in sealed["books"]]


def _content_faults(sealed: Mapping[str, Any]) -> list[str]:
    """Every place of every book is a box of the bundle, or a dummy; and every box lies in a book."""
    private, kept = bytes.fromhex(sealed["private"]), [proofs.decode_base64(row["box"]) for row in sealed["boxes"]]
    try:
        found = [box for boxes in _boxes_of(sealed) for box in boxes if sealing.open_box(private, box)]
    except sealing.CannotOpen:
        return ["a place of the books does not open with the revealed key"]
    same = sorted(found) == sorted(box or b"" for box in kept)
    return [] if same else ["the books hold other attempts than the bundle"]


def check_solver(contents: Contents) -> Iterator[Finding]:
    """The winners of a package auction are those of its inputs, found again by the brute force that is independent."""
    solver = contents["solver.json"]
    if solver is None:
        return
    found = winning_bids(contents["replay.json"]) or {}
    contents.count("solver")
    for name in ("inputs", "solver", "recheck"):
        if solver[name] != found.get(name, solver):
            yield Finding("solver.json", "solver_differs", f"{name}: the replay gives another value than the protocol.")


def check_awards(contents: Contents) -> Iterator[Finding]:
    """Every award is one that the result proposes."""
    proposed = [_award(row) for row in contents["result.json"]["awards"]]
    for place, row in enumerate(contents["awards.json"]):
        contents.count("awards")
        if _award(row) not in proposed:
            yield Finding("awards.json", "award_not_proposed", f"award {place} is none that the result proposes.")


def _award(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["bidder"], row["price"], tuple(row.get("lots") or ())


Check = Callable[[Contents], Iterator[Finding]]

CHECKS: Final[Sequence[tuple[str, Check]]] = (
    ("auction.json", check_auction),
    ("rules.json", check_rules),
    ("reserve.json", check_reserve),
    ("replay.json", check_result),
    ("receipts.json", check_receipts),
    ("sealed.json", check_boxes),
    ("sealed.json", check_books),
    ("solver.json", check_solver),
    ("awards.json", check_awards),
)
"""Every check, with the member that it reads first."""
