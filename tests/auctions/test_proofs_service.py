"""Keys, the ceremony and the papers, through services and API: nobody learns counts, shares are the holders' alone."""

import base64
from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions import opening, sealed_book, signing
from auctions.domain import ceremony, proofs, verification
from auctions.domain.canonical import canonical
from marketplace.money import Money
from tests.auctions.arena import ENDS, OPENS, SECOND, rules
from tests.auctions.arena import arena as arena  # noqa: PLC0414 - a fixture

TABLES = (
    "auctions", "auction_events", "bids", "outbox_events", "audit_records", "stored_answers", "opened_boxes",
    "sealed_books", "sealed_commitments", "sealing_shares", "sealing_keys", "registrations", "awards",
)  # fmt: skip


ODD = (None, 7, -1, True, "x", [], {}, "2026-03-02T12:00:00", "9" * 400)
NESTED = ("event", "answer")


def bid(api, arena, who, amount, *, key=None):
    path = f"/auctions/{arena.auction_id}/bids"
    body = {"amount": {"amount": f"{amount}.00", "currency": "CNY"}}
    return api.as_(who).post(path, json=body, key=key)


def snapshot(arena):
    """What a reader of the whole database can count or read, but for the wrapped bytes of the books."""
    found = {}
    with arena.sessions() as session:
        for table in TABLES:
            if session.execute(text("SELECT to_regclass(:name)"), {"name": table}).scalar() is None:
                continue
            rows = session.execute(text(f"SELECT * FROM {table}")).mappings().all()
            shown = [{n: v for n, v in row.items() if (table, n) != ("sealed_books", "book")} for row in rows]
            lengths = [len(row["book"]) for row in rows] if table == "sealed_books" else []
            found[table] = (sorted(map(str, shown)), lengths)
    return found


def seen(api, arena):
    """What every role sees of the auction through the API."""
    people, answers = arena.people, []
    for who in (people.seller, people.admin, people.auditor, people.buyer, people.third_buyer):
        for path in ("", "/bids", "/sealing"):
            shown = api.as_(who).get(f"/auctions/{arena.auction_id}{path}")
            answers.append((shown.status_code, shown.get_json()))
    return answers


def test_nobody_learns_an_amount_or_how_many_bids_there_are_before_the_end(api, arena):
    arena.open(rules("sealed_first_price"))
    arena.seal()
    with arena.sessions.begin() as session:
        sealed_book.put(
            session, auction_id=arena.auction_id, request=_request(arena, "C", 300),
            actor=arena.people.third_buyer.actor,
            signer=signing.signer(session, vault=arena.running.vault, at=OPENS), vault=arena.running.vault,
        )  # fmt: skip
    before, shown = snapshot(arena), seen(api, arena)
    for number, who in enumerate((arena.people.buyer, arena.people.other_buyer, arena.people.buyer)):
        assert bid(api, arena, who, 777_123 + number).status_code == 201
    assert snapshot(arena) == before
    assert seen(api, arena) == shown
    with arena.sessions() as session:
        versions = session.execute(text("SELECT count(DISTINCT xmin::text), count(*) FROM sealed_books")).one()
    assert tuple(versions) == (1, 3), "one transaction wrote all books: none stands out"
    assert all(needle not in str(before) for needle in ("777123", "77712300"))


def _request(arena, name, amount, key="k"):
    code = next(code for code, one in arena.codes.items() if one == name)
    return sealed_book.Request(arena.registrations[name], code, "bid", Money(amount * 100, "CNY"), (), key)


def test_a_sealed_retry_gets_the_first_receipt_and_another_request_with_its_key_is_refused(api, arena):
    arena.open(rules("sealed_first_price"))
    arena.seal()
    first = bid(api, arena, arena.people.buyer, 150, key="once").get_json()
    arena.at(OPENS + SECOND)
    assert bid(api, arena, arena.people.buyer, 150, key="once").get_json()["receipt"] == first["receipt"]
    assert bid(api, arena, arena.people.buyer, 160, key="once").get_json()["code"] == "idempotency_key_reused"
    assert first["receipt"]["receipt"]["head"] is None
    assert "amount" not in first["receipt"]["receipt"]["event"]


def test_cover_rewrites_every_book_and_changes_nothing(arena, monkeypatch):
    arena.open(rules("sealed_first_price"))
    arena.seal()
    arena.bid("A", 150)
    monkeypatch.setattr(sealed_book.secrets, "randbelow", lambda _: 0)

    def books():
        with arena.sessions() as session:
            return dict(session.execute(text("SELECT registration_id, book FROM sealed_books")).all())

    before = books()
    with arena.sessions.begin() as session:
        assert sealed_book.cover(session, vault=arena.running.vault) == 1
    after = books()
    assert all(before[one] != after[one] and len(before[one]) == len(after[one]) for one in before)
    arena.at(ENDS)
    arena.unseal()
    arena.close()
    assert arena.result()[:2] == ("sold", 150)


def test_only_the_last_attempts_are_kept(arena):
    arena.open(rules("sealed_first_price"))
    arena.seal()
    for amount in range(100, 110):
        arena.bid("A", amount)
    arena.at(ENDS)
    arena.unseal()
    with arena.sessions() as session:
        kept = session.execute(text("SELECT amount_minor FROM opened_boxes ORDER BY number")).scalars().all()
    assert kept == [amount * 100 for amount in range(102, 110)]


def test_the_ceremony_through_the_api(api, arena):
    people = arena.people
    arena.open(rules("sealed_second_price"))
    arena.at(OPENS - timedelta(hours=1))
    with arena.sessions.begin() as session:
        opening.prepare(session, auction_id=arena.auction_id, lots=[], vault=arena.running.vault, at=OPENS)
    path = f"/auctions/{arena.auction_id}"
    holders = (people.seller, people.admin, people.auditor)
    shares = {who.login: api.as_(who).ok("POST", f"{path}/shares/collect", 201)["share"] for who in holders}
    assert api.as_(people.seller).post(f"{path}/shares/collect").get_json()["code"] == "share_collected"
    assert api.as_(people.other_seller).post(f"{path}/shares/collect").status_code == 404
    assert api.as_(people.buyer).post(f"{path}/shares/collect").status_code == 404
    assert api.as_(people.seller_agent).post(f"{path}/shares/collect").status_code == 404
    arena.at(OPENS)
    bid(api, arena, people.buyer, 150)
    bid(api, arena, people.other_buyer, 200)

    def give(who, share):
        return api.as_(who).post(f"{path}/shares", json={"share": share})

    arena.at(ENDS - timedelta(milliseconds=1))
    assert give(people.seller, shares["seller"]).get_json()["code"] == "too_early_to_open"
    arena.at(ENDS)
    assert arena.close() == 0, "nothing closes before the ceremony"
    assert give(people.seller, shares["seller"][:-1] + "x").get_json()["code"] == "mistyped_share"
    assert give(people.seller, shares["auditor"]).get_json()["code"] == "wrong_share"
    for _ in range(2):
        assert give(people.seller, shares["seller"]).get_json()["opened_at"] is None
    assert api.as_(people.auditor).ok("GET", f"{path}/sealing")["shares"][0]["submitted_at"] is not None
    opened = give(people.auditor, shares["auditor"]).get_json()
    assert opened["opened_at"] is not None
    assert give(people.auditor, shares["auditor"]).get_json() == opened
    assert arena.close() == 1
    assert arena.result()[:2] == ("sold", 150)
    whole = api.as_(people.third_buyer).ok("GET", f"{path}/log")["events"]
    parts = [api.as_(people.third_buyer).ok("GET", f"{path}/log?limit=1&after={at}") for at in range(len(whole))]
    assert [event for part in parts for event in part["events"]] == whole, "boxes sorted among the entries"
    assert [part["next"] for part in parts] == [*range(1, len(whole)), None]
    content = api.as_(people.third_buyer).get(f"{path}/bundle").data
    keys = api.get("/auction-keys").get_json()["items"]
    assert verification.verify(content, published=keys).findings == []


def test_an_auction_without_two_collected_shares_takes_no_bids_and_the_rest_are_erased(arena):
    arena.open(rules("sealed_first_price"))
    with arena.sessions.begin() as session:
        opening.prepare(session, auction_id=arena.auction_id, lots=[], vault=arena.running.vault, at=OPENS)
    assert arena.bid("A", 150) == "not_sealable"
    with arena.sessions.begin() as session:
        assert opening.erase_uncollected(session, OPENS) == 3
        assert opening.erase_uncollected(session, OPENS) == 0
    with pytest.raises(opening.BiddingHasOpened):
        arena._share(opening.collect_share, arena.people.auditor.actor)


def test_renewing_makes_old_shares_worthless_and_ends_when_bidding_opens(arena):
    arena.open(rules("sealed_first_price"))
    arena.seal()
    old = arena.shares
    with pytest.raises(opening.BiddingHasOpened):
        arena._share(opening.renew, arena.people.seller.actor, reason="lost")
    arena.at(OPENS - 2 * SECOND)
    arena._share(opening.renew, arena.people.seller.actor, reason="lost")
    arena.shares = [(actor, arena._share(opening.collect_share, actor).share) for actor, _ in old]
    arena.at(OPENS)
    arena.bid("A", 150)
    arena.at(ENDS)
    with pytest.raises(ceremony.WrongShare):
        arena._share(opening.submit_share, old[1][0], share=old[1][1])
    arena.unseal()
    assert arena.close() == 1


def test_any_two_of_three_open(arena):
    arena.open(rules("sealed_first_price"))
    arena.seal()
    arena.bid("A", 150)
    arena.at(ENDS)
    arena.shares = [arena.shares[2], arena.shares[0], arena.shares[1]]
    arena.unseal()
    assert arena.close() == 1


def test_receipts_of_refusals_verify_with_the_published_key_and_write_nothing(api, arena):
    arena.open()
    before = snapshot(arena)
    refused = bid(api, arena, arena.people.buyer, 50)
    body = refused.get_json()
    assert (refused.status_code, body["code"]) == (409, "below_start")
    keys = {row["key_id"]: base64.b64decode(row["public_key"]) for row in api.get("/auction-keys").get_json()["items"]}
    proof = body["receipt"]
    place = proofs.read_inclusion(proof["inclusion"])
    signed = proofs.SignedReceipt(
        proof["receipt"], canonical(proof["receipt"]), base64.b64decode(proof["signature"]), place
    )
    assert signed.fault(keys[proof["key_id"]]) is None
    assert proof["receipt"]["answer"]["code"] == "below_start"
    assert proof["receipt"]["event"]["amount"] == "50.00"
    assert snapshot(arena) == before


def test_rotation_keeps_old_keys_and_begins_when_every_process_knows(api, arena):
    people, vault = arena.people, arena.running.vault
    with arena.sessions() as session:
        old = signing.signer(session, vault=vault, at=arena.clock.at)
    assert api.as_(people.seller).post("/auction-keys/rotate", json={"reason": "x"}).status_code == 403
    row = api.as_(people.admin).ok("POST", "/auction-keys/rotate", 201, json={"reason": "yearly"})
    again = api.as_(people.admin).post("/auction-keys/rotate", json={"reason": "yearly"})
    assert again.get_json()["code"] == "rotation_pending"
    begins = arena.clock.at + signing.LEAD
    with arena.sessions() as session:
        assert signing.signer(session, vault=vault, at=begins - timedelta(milliseconds=1)).key_id == old.key_id
        assert signing.signer(session, vault=vault, at=begins).key_id == row["key_id"]
    listed = api.get("/auction-keys").get_json()["items"]
    assert [one["key_id"] for one in listed] == [row["key_id"], old.key_id]
    assert listed[1]["valid_until"] == listed[0]["valid_from"]


def test_without_a_key_nothing_is_signed(arena):
    with arena.sessions() as session, pytest.raises(signing.NoSigningKey):
        signing.signer(session, vault=arena.running.vault, at=arena.clock.at - timedelta(days=1))


def test_the_protocol_in_both_languages_is_the_same_bytes_twice(api, arena):
    arena.open(reserve=9_000)
    arena.bid("A", 100)
    arena.at(ENDS + timedelta(hours=1))
    path = f"/auctions/{arena.auction_id}"
    assert api.as_(arena.people.seller).get(f"{path}/bundle").get_json()["code"] == "result_pending"
    arena.close()
    for language in ("zh", "en"):
        first, second = (api.as_(arena.people.seller).get(f"{path}/protocol.pdf?language={language}") for _ in range(2))
        assert first.status_code == 200
        assert first.data == second.data
        assert first.data.startswith(b"%PDF")


def test_an_unsold_auction_keeps_its_reserve_from_others(api, arena):
    arena.open(reserve=90_000)
    arena.bid("A", 100)
    arena.at(ENDS + timedelta(hours=1))
    arena.close()
    path = f"/auctions/{arena.auction_id}/bundle"
    assert api.as_(arena.people.buyer).get(path).status_code == 404
    content = api.as_(arena.people.seller).get(path).data
    assert verification.verify(content).findings == []


def test_a_sealed_receipt_is_checked_at_once_and_listed_only_after_the_opening(api, arena):
    people = arena.people
    arena.open(rules("sealed_first_price"))
    arena.seal()
    path = f"/auctions/{arena.auction_id}/receipts"
    receipt = bid(api, arena, people.buyer, 150).get_json()

    def seen():
        checked = api.as_(people.buyer).ok("POST", f"{path}/check", json={"receipts": [receipt]})["items"]
        listed = api.as_(people.buyer).ok("GET", path)["items"]
        return [row["checks"]["log"] for row in checked], [row["receipt"] for row in listed]

    assert seen() == (["later"], [])
    arena.at(ENDS)
    arena.unseal()
    arena.close()
    checked, listed = seen()
    assert checked == ["right"]
    assert [one["signature"] for one in listed] == [receipt["receipt"]["signature"]]
    assert api.as_(people.other_buyer).ok("GET", path)["items"] == []


def test_a_receipt_that_lacks_a_key_or_has_another_kind_of_value_is_refused_and_no_crash(api, arena):
    arena.open()
    answer = bid(api, arena, arena.people.buyer, 150).get_json()["receipt"]
    path = f"/api/v1/auctions/{arena.auction_id}/receipts/check"
    headers = {"authorization": f"Bearer {arena.people.buyer.token}"}

    def status(receipt):
        given = {"receipts": [answer | {"receipt": receipt}]}
        return api.app.test_client(use_cookies=False).post(path, json=given, headers=headers).status_code

    whole = answer["receipt"]
    assert status(whole) == 200
    changes = [{other: value for other, value in whole.items() if other != name} for name in whole]
    changes += [whole | {name: value} for name in whole for value in ODD]
    changes += [whole | {name: whole[name] | {inner: odd}} for name in NESTED for inner in whole[name] for odd in ODD]
    assert [one for one in changes if status(one) not in {200, 422}] == []
    assert status({name: value for name, value in whole.items() if name != "price"}) == 422
