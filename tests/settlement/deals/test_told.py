"""Each fact of an auction and its settlement reaches exactly the parties that may know it: all facts, all parties."""

import dataclasses
import json
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

import auctions.announcing
import settlement.announcing
from auctions import events as of_auctions
from auctions.domain.format_terms import FormatName
from marketplace.outbox import Event
from settlement import events as of_settlement

EVERYBODY = {"seller", "bidder", "rival", "stranger", "other_seller", "valuer", "operator"}
SALE = {"seller", "bidder", "rival", "operator"}
OWN = {"seller", "bidder", "operator"}
HOUSE = {"seller", "operator"}
MONEY = {"bidder", "operator"}

TOLD = {
    "listing.published": EVERYBODY, "listing.withdrawn": EVERYBODY, "listing.rectified": SALE,
    "listing.planned": HOUSE, "auction.lots_unsold": HOUSE,
    "registration.applied": OWN, "registration.approved": OWN, "registration.refused": OWN,
    "registration.withdrawn": OWN, "registration.covered": OWN, "registration.uncovered": OWN,
    "auction.suspended": SALE, "auction.resumed": SALE, "auction.bidder_voided": OWN,
    "auction.awarded": SALE, "auction.failed": SALE,
    "award.waiting": OWN, "award.protocol_confirmed": OWN, "award.prolonged": OWN, "award.contracted": OWN,
    "award.failed": OWN, "award.released": OWN,
    "deal.opened": OWN, "deal.payment_received": OWN, "deal.payment_taken_back": OWN, "deal.paid": OWN,
    "deal.party_signed": OWN, "deal.contract_signed": OWN, "deal.ready": OWN, "deal.distributed": OWN,
    "deal.settled": OWN, "deal.cancelled": OWN, "deal.proceeds_recorded": set(), "deal.distribution_due": set(),
    "payment_order.settled": MONEY, "payment_order.failed": MONEY, "payment_order.returned": MONEY,
    "card_payment.received": MONEY, "card_dispute.changed": MONEY,
    "deposit.release_overdue": {"operator"},
}  # fmt: skip
"""Who hears of what. `bidder` is the one that an event is about, `rival` another of the same listing."""

FACTS = {
    kind.name: kind
    for kind in Event.__subclasses__()
    if kind.__module__ in {of_auctions.__name__, of_settlement.__name__}
}
DOCUMENT = Path(__file__).parents[3] / "docs" / "webhooks.md"
SUBSCRIPTIONS = (*auctions.announcing.SUBSCRIPTIONS, *settlement.announcing.SUBSCRIPTIONS)

ORDER = (
    "INSERT INTO payment_orders (id, reference, state, purpose, rail, payee_organisation_id, payee_name, payee_account,"
    " amount_minor, currency, remittance, source_kind, source_id, source_account, proposed_by, created_at)"
    " SELECT :id, 'PO-00000000', 'proposed', 'deposit_refund', 'wire', :payee, 'x', '1', 100, 'CNY', 'x', 'x', :id,"
    " 'x', 'x', now()"
)


@pytest.fixture
def listening(sale):
    """The sale with a deal, everybody listening, the third buyer a stranger to it."""
    people = sale.people
    sale.award()
    sale.work()
    sale.parties = {
        "seller": people.seller, "bidder": people.buyer, "rival": people.other_buyer, "stranger": people.third_buyer,
        "other_seller": people.other_seller, "valuer": people.valuer, "operator": people.admin,
    }  # fmt: skip
    sale.order_id = uuid.uuid4()
    with sale.sessions.begin() as session:
        session.execute(
            text("UPDATE registrations SET state = 'withdrawn' WHERE id = :id"),
            {"id": sale.registrations["third_buyer"]},
        )
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(ORDER), {"id": sale.order_id, "payee": people.buyer.organisation_id})
    for who in sale.parties.values():
        sale.api.as_(who).ok("POST", "/webhook-endpoints", 201, json={"url": "https://hooks.example.com/in"})
    return sale


def announced(sale, kind):
    """The payload of an event about the winning bidder, as the outbox keeps it."""
    ids = {
        "listing_id": sale.listing_id, "previous_listing_id": sale.listing_id, "package_id": sale.package_id,
        "part_id": sale.package_id, "auction_id": sale.auction_id, "award_id": sale.award_id,
        "registration_id": sale.registrations["buyer"], "deal_id": uuid.UUID(sale.deal()["id"]),
        "payment_order_id": sale.order_id,
    }  # fmt: skip
    plain = {"currency": "CNY", "state": "won", "party": "buyer"}
    payload = {}
    for field in dataclasses.fields(FACTS[kind]):
        value = ids.get(field.name) or plain.get(field.name)
        payload[field.name] = (
            str(value) if value is not None else 7 if field.type in (int, "int") else str(uuid.uuid4())
        )
    return payload


def tell(sale, kind, *, twice=True):
    """Let every teller of a kind do its work; return what each party was sent."""
    payload = announced(sale, kind)
    for _ in range(1 + twice):
        with sale.sessions.begin() as session:
            for one in SUBSCRIPTIONS:
                if one.event == kind:
                    one.handler(session, payload, sale.clock.now())
    names = {who.organisation_id: name for name, who in sale.parties.items()}
    rows = sale.sql(
        "SELECT e.organisation_id, m.body FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id"
        " WHERE m.kind = :kind",
        kind=kind,
    )
    sent = [(names[row.organisation_id], json.loads(row.body)) for row in rows]
    assert len(sent) == len(dict(sent)), "told twice"
    return dict(sent)


def test_the_table_names_every_fact_and_every_fact_is_told_or_left_untold_on_purpose():
    assert set(TOLD) == set(FACTS)
    told = {one.event for one in SUBSCRIPTIONS}
    assert set(FACTS) - told == settlement.announcing.UNTOLD == {kind for kind, who in TOLD.items() if not who}
    names = [one.name for one in SUBSCRIPTIONS]
    assert len(names) == len(set(names))


def test_the_printed_table_says_the_same():
    words = {"everybody": EVERYBODY, "nobody": set()}
    printed = {}
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `"):
            kind, _, told = (cell.strip() for cell in line.strip("|").split("|"))
            printed[kind.strip("`")] = words[told] if told in words else set(told.split(", "))
    assert printed == TOLD


def test_each_fact_reaches_exactly_who_may_know_it(listening):
    heard = {kind: set(tell(listening, kind)) for kind in FACTS}
    assert heard == TOLD


def test_a_rival_and_the_seller_learn_a_bidder_by_its_code_only(listening):
    winner = {str(listening.people.buyer.organisation_id), str(listening.registrations["buyer"]), "华信资产"}
    allowed = {"award.failed", "award.released", "auction.bidder_voided"}
    for kind in FACTS:
        sent = tell(listening, kind)
        for party in {"rival", "stranger"} & set(sent):
            assert not [secret for secret in winner if secret in json.dumps(sent[party])], (kind, party)
        if "seller" in sent and kind.startswith(("registration.", "auction.")) and kind not in allowed:
            assert not [secret for secret in winner if secret in json.dumps(sent["seller"])], kind


@pytest.mark.parametrize("format_", [name for name in FormatName if name not in auctions.announcing.PUBLIC_FORMATS])
def test_nothing_told_before_a_sealed_end_counts_attempts(listening, format_):
    with listening.sessions.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(
            text("UPDATE listings SET format = :format WHERE id = :id"),
            {"format": format_, "id": listening.listing_id},
        )
    before_the_end = [
        kind
        for kind in FACTS
        if kind.startswith(("registration.", "auction.suspended", "auction.resumed", "auction.bidder_voided"))
    ]
    for kind in before_the_end:
        for party, body in tell(listening, kind).items():
            assert not [value for value in body["data"].values() if isinstance(value, int)], (kind, party)
            assert not {"number", "sequence", "price", "leader", "accepted"} & set(body["data"]), (kind, party)


def test_a_dispute_that_opens_again_is_told_again(listening):
    kind = "card_dispute.changed"
    (teller,) = (one for one in SUBSCRIPTIONS if one.event == kind)
    first = announced(listening, kind)
    turns = [("open", "2026-03-02T09:00:00Z"), ("won", "2026-03-03T09:00:00Z"), ("open", "2026-03-04T09:00:00Z")]
    for state, since in turns * 2:
        with listening.sessions.begin() as session:
            teller.handler(session, {**first, "state": state, "since": since}, listening.clock.now())
    rows = listening.sql(
        "SELECT m.body FROM webhook_messages m JOIN webhook_endpoints e ON e.id = m.endpoint_id"
        " WHERE m.kind = :kind AND e.organisation_id = :who ORDER BY m.id",
        kind=kind,
        who=listening.people.buyer.organisation_id,
    )
    told = [json.loads(row.body)["data"] for row in rows]
    assert [(one["state"], one["since"]) for one in told] == turns
