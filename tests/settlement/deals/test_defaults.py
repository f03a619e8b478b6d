"""The winner does not keep its word: the deal is taken back, the deposit lost or returned, the next one invoiced."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions import award_turns
from auctions import service as auctions
from auctions.award_models import Award
from auctions.domain.awards import AwardTerms, FailureCause
from auctions.events import AuctionAwarded
from marketplace import outbox
from marketplace.actor import SYSTEM
from marketplace.money import Money
from settlement import controls, defaults, releases
from settlement.domain.defaults import BadPolicy, Policy, Rest, Use, waterfall
from tests.settlement.deals.test_ledger_document import DEFAULT, PAGE, entries_of, minor, numbered, printed

DEPOSIT, PRICE, NEXT = 50_000_00, 1_000_000_01, 980_000_00
LOST = {"causes": ["buyer_defaulted"], "uses": ["sale_costs", "price_gap"], "rest": "seller", "claim": False}


def yuan(amount: int) -> dict:
    return {"amount": f"{amount // 100}.{amount % 100:02d}", "currency": "CNY"}


@pytest.fixture(autouse=True)
def fit(monkeypatch) -> None:
    """Whether the next in line may still buy is a question of auctions, and tested there."""
    monkeypatch.setattr(award_turns, "_unfit", lambda *_, **__: None)


def queue(sale, *, regime: str = "judicial_cn", next_waits: bool = True) -> None:
    """The winner's award in force, the next in line waiting; events as closing publishes them."""
    terms = AwardTerms(regime=regime, promotes_next=True).document()
    with sale.sessions.begin() as session:
        same = {
            "auction_id": sale.auction_id, "listing_id": sale.listing_id, "package_id": sale.package_id,
            "seller_organisation_id": sale.people.seller.organisation_id, "currency": "CNY", "terms": terms,
            "created_at": sale.clock.now(),
        }  # fmt: skip
        winner = Award(
            registration_id=sale.registrations["buyer"], place=1, state=auctions.AwardState.PENDING, price_minor=PRICE,
            in_force_at=sale.clock.now(), **same,
        )  # fmt: skip
        session.add(winner)
        if next_waits:
            winner.runner_up_registration_id = sale.registrations["other_buyer"]
            session.add(
                Award(
                    registration_id=sale.registrations["other_buyer"],
                    place=2,
                    state=auctions.AwardState.WAITING,
                    price_minor=NEXT,
                    **same,
                )
            )
        session.flush()
        sale.award_id = winner.id
        event = AuctionAwarded(winner.id, sale.auction_id, sale.listing_id, sale.package_id)
        outbox.publish(session, event, at=sale.clock.now())


def fail(sale, cause: FailureCause = FailureCause.BUYER_DEFAULTED) -> None:
    with sale.sessions.begin() as session:
        auctions.fail_award(
            session, award_id=sale.award_id, reason="no money came", cause=cause, actor=SYSTEM, at=sale.clock.now()
        )


def balances(sale) -> dict[str, int]:
    """What stands on each name of the chart, debit +."""
    rows = sale.sql(
        "SELECT split_part(a.key, ':', 1), sum(p.amount_minor) FROM accounts a"
        " JOIN postings p ON p.account_id = a.id GROUP BY 1 HAVING sum(p.amount_minor) <> 0"
    )
    return {name: int(amount) for name, amount in rows}


def check_ties(sale) -> None:
    with sale.sessions() as session:
        totals = controls.control_totals(session)
    assert [one for one in totals if one.difference] == []
    assert "deposits" in {one.name for one in totals}


@pytest.mark.parametrize("paid", [0, 100_000_00])
def test_the_deposit_is_lost_and_the_next_in_line_is_invoiced(sale, paid: int) -> None:
    queue(sale)
    sale.work()
    first = sale.deal()
    finance = sale.api.as_(sale.people.finance)
    shown = finance.ok("GET", f"/deals/{first['id']}/default-preview")
    assert (shown["forfeited"], shown["next_price"]) == (yuan(DEPOSIT), yuan(NEXT))
    assert shown["next_registration_id"] == str(sale.registrations["other_buyer"])
    if paid:
        sale.statement((paid, first["reference"], "buyer"))
    assert finance.ok("GET", f"/deals/{first['id']}/default-preview")["returned"] == yuan(paid)
    [(before,)] = sale.sql("SELECT CAST(max(CAST(id AS text)) AS uuid) FROM entries")
    fail(sale)
    sale.work()
    if paid:
        assert numbered(entries_of(sale, before)) == numbered(printed(DEFAULT))
    second, cancelled = finance.ok("GET", "/deals")["items"]
    assert (cancelled["id"], cancelled["state"], cancelled["due"]) == (first["id"], "cancelled", yuan(0))
    assert (second["state"], second["price"], second["deposit"]) == ("awaiting_payment", yuan(NEXT), yuan(DEPOSIT))
    held = balances(sale)
    assert held["forfeited"] == -DEPOSIT
    assert held.get("unapplied", 0) == -paid
    assert held["receivable"] == NEXT - DEPOSIT
    assert {order["registration_id"] for order in sale.orders()} == {str(sale.registrations["third_buyer"])}
    check_ties(sale)
    sale.statement((NEXT - DEPOSIT, second["reference"], "other_buyer"))
    for who in (sale.people.seller, sale.people.other_buyer):
        sale.api.as_(who).ok("POST", f"/deals/{second['id']}/sign-contract")
    sale.work()
    assert finance.ok("GET", f"/deals/{second['id']}")["state"] == "settled"
    late = sale.statement((1_00, first["reference"], "buyer"))["items"][0]["lines"][0]
    assert late["finding"] == "deal_refused"
    check_ties(sale)


def test_nobody_left_and_the_forfeited_deposit_is_never_refunded(sale) -> None:
    """Whatever the order in which the events arrive, and also when the deal was never opened."""
    queue(sale, next_waits=False)
    fail(sale)
    with sale.sessions.begin() as session:
        releases.release_listing(session, listing_id=sale.listing_id, actor=SYSTEM, at=sale.clock.now())
    sale.work()
    lost = sale.registrations["buyer"]
    assert str(lost) not in {order["registration_id"] for order in sale.orders()}
    assert len(sale.orders()) == 2
    assert balances(sale)["forfeited"] == -DEPOSIT
    assert sale.sql("SELECT count(*) FROM deals") == [(0,)]
    with sale.sessions.begin() as session:
        defaults.handle_failed_award(session, award_id=sale.award_id, actor=SYSTEM, at=sale.clock.now())
    assert balances(sale)["forfeited"] == -DEPOSIT
    check_ties(sale)
    stray = sale.statement((DEPOSIT, sale.references["buyer"], "buyer"))["items"][0]["lines"][0]
    assert stray["finding"] not in {"exact", "completes"}


@pytest.mark.parametrize("cause", [FailureCause.SELLER_DECLINED, FailureCause.DEADLINE_PASSED])
def test_without_a_default_the_deposit_goes_back(sale, cause: FailureCause) -> None:
    queue(sale, next_waits=False)
    sale.work()
    fail(sale, cause)
    sale.work()
    assert len(sale.orders()) == 3
    assert sale.deal()["state"] == "cancelled"
    assert "forfeited" not in balances(sale)
    check_ties(sale)


@pytest.mark.parametrize(("regime", "row"), [("judicial_cn", "judicial"), ("offline_cn", "offline")])
def test_a_lost_deposit_is_used_as_printed(sale, regime: str, row: str) -> None:
    queue(sale, regime=regime)
    sale.work()
    fail(sale)
    finance = sale.api.as_(sale.people.finance)
    sale.work()
    [lost] = finance.ok("GET", "/forfeitures")["items"]
    path = f"/forfeitures/{lost['id']}"
    shown = finance.ok("POST", f"{path}/preview", json={"sale_costs": yuan(1_000_00)})
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {row} "))
    cells = [minor(cell.strip()) for cell in line.strip("|").split("|")[1:]]
    names = ("sale_costs", "price_gap", "seller", "buyer", "claim")
    assert [shown["uses"][name] for name in names] == [yuan(cell) for cell in cells]
    assert sale.api.as_(sale.people.third_buyer).post(f"{path}/preview", json={}).status_code == 404
    body = {"sale_costs": yuan(1_000_00), "reason": "sold again"}
    assert sale.api.as_(sale.people.seller).post(f"{path}/settle", json=body).status_code == 403
    assert finance.ok("POST", f"{path}/settle", json=body)["uses"] == shown["uses"]
    again = finance.post(f"{path}/settle", json=body)
    assert (again.status_code, again.get_json()["code"]) == (409, "forfeiture_settled")
    now = balances(sale)
    assert "forfeited" not in now
    assert now["commission"] == -cells[0]
    parts = {order["purpose"]: order["amount"] for order in sale.orders()}
    assert parts["payout"] == yuan(cells[1] + cells[2])
    returned = [order for order in sale.orders() if order["registration_id"] == str(sale.registrations["buyer"])]
    assert [order["amount"] for order in returned] == ([yuan(cells[3])] if cells[3] else [])
    check_ties(sale)


def test_a_gap_that_nobody_knows_yet_is_not_guessed(sale) -> None:
    queue(sale, regime="offline_cn", next_waits=False)
    sale.work()
    fail(sale)
    sale.work()
    finance = sale.api.as_(sale.people.finance)
    [lost] = finance.ok("GET", "/forfeitures")["items"]
    path = f"/forfeitures/{lost['id']}"
    assert finance.post(f"{path}/preview", json={}).get_json()["code"] == "resale_price_unknown"
    ask = {"sale_costs": yuan(1_000_00), "resale_price": yuan(900_000_00)}
    uses = finance.ok("POST", f"{path}/preview", json=ask)["uses"]
    assert (uses["price_gap"], uses["claim"]) == (yuan(49_000_00), yuan(51_000_01))
    finance.ok("POST", f"{path}/settle", json={**ask, "reason": "auctioned again"})
    check_ties(sale)


def test_finance_fails_an_award_whose_balance_is_late(sale) -> None:
    queue(sale)
    sale.work()
    finance = sale.api.as_(sale.people.finance)
    deal = sale.deal()
    path = f"/deals/{deal['id']}/fail-overdue"
    assert deal["overdue"] is False
    assert finance.post(path, json={"reason": "late"}).get_json()["code"] == "deal_not_overdue"
    with sale.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE user_sessions SET expires_at = expires_at + interval '20 days'")
    sale.clock.advance(days=11)
    assert sale.deal()["overdue"] is True
    finance.ok("POST", path, json={"reason": "late"})
    sale.work()
    assert [deal["state"] for deal in finance.ok("GET", "/deals")["items"]] == ["awaiting_payment", "cancelled"]
    check_ties(sale)


def test_policies_are_versions_that_begin_later(sale) -> None:
    admin = sale.api.as_(sale.people.admin)
    known = admin.ok("GET", "/default-policies")["items"]
    assert {"judicial_cn", "offline_cn", "plain"} <= {row["regime"] for row in known}
    body = {"regime": "plain", "valid_from_on": "2026-03-01", "rules": LOST}
    assert admin.post("/default-policies", json=body).get_json()["code"] == "policy_starts_in_the_past"
    body["valid_from_on"] = "2027-01-01"
    assert admin.ok("POST", "/default-policies", 201, json=body)["version"] == 2
    body["rules"] = {**LOST, "rest": "operator"}
    assert admin.post("/default-policies", json=body).get_json()["code"] == "bad_default_policy"


@pytest.mark.parametrize(
    ("part", "value"),
    [("causes", "x"), ("uses", ["x"]), ("uses", ["price_gap", "price_gap"]), ("rest", "x"), ("claim", 1), ("more", 1)],
)
def test_a_policy_says_everything_and_nothing_else(part: str, value: object) -> None:
    with pytest.raises(BadPolicy):
        Policy.of_document({**LOST, part: value})


amounts = st.integers(0, 10**6)


@settings(max_examples=60)
@given(deposit=amounts, costs=amounts, price=amounts, resale=amounts, back=st.booleans(), turned=st.booleans())
def test_a_waterfall_adds_up_and_stops_where_nothing_is_left(deposit, costs, price, resale, back, turned) -> None:
    uses = tuple(Use)[::-1] if turned else tuple(Use)
    policy = Policy(frozenset(), uses, Rest.BUYER if back else Rest.SELLER, claim=back)
    found = waterfall(
        policy,
        deposit=Money(deposit, "CNY"), sale_costs=Money(costs, "CNY"), price=Money(price, "CNY"),
        resale_price=Money(resale, "CNY"),
    )  # fmt: skip
    used = found.sale_costs.minor + found.price_gap.minor
    needed = costs + max(price - resale, 0)
    assert used + found.seller.minor + found.buyer.minor == deposit
    assert used == min(needed, deposit)
    assert found.claim.minor == (needed - used if back else 0)
    first = found.price_gap.minor if turned else found.sale_costs.minor
    assert first == min(max(price - resale, 0) if turned else costs, deposit)


def test_a_worker_that_dies_after_the_forfeiture_loses_nothing(sale) -> None:
    queue(sale)
    sale.work()
    fail(sale)
    with sale.sessions() as session:
        defaults.handle_failed_award(session, award_id=sale.award_id, actor=SYSTEM, at=sale.clock.now())
        session.rollback()
    assert "forfeited" not in balances(sale)
    sale.work()
    assert balances(sale)["forfeited"] == -DEPOSIT
    assert sale.sql("SELECT count(*) FROM forfeitures") == [(1,)]
    check_ties(sale)
