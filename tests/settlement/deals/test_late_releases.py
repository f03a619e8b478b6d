"""A deposit that is held again after its listing is over goes back, however the listing ended; of no one else does."""

import pytest
from sqlalchemy import text

from auctions.domain.awards import FailureCause
from marketplace.actor import SYSTEM
from settlement import deposits, releases
from tests.settlement.deals.test_defaults import DEPOSIT, fail, queue

EVERYBODY = {"buyer", "other_buyer", "third_buyer"}


def regain(sale) -> set[str]:
    """Each deposit is ours again, as after a dispute that was won; return those that are on their way back now."""
    with sale.sessions.begin() as session:
        for registration_id in sale.registrations.values():
            releases.release_late(session, registration_id=registration_id, actor=SYSTEM, at=sale.clock.now())
    names = {str(one): name for name, one in sale.registrations.items()}
    live = [order for order in sale.orders() if order["state"] != "cancelled"]
    return {names[order["registration_id"]] for order in live}


def end(sale, outcome: str | None, *, closed: bool = True) -> None:
    with sale.sessions.begin() as session:
        when = "closed_at" if closed else "NULL"
        session.execute(text(f"UPDATE auctions SET outcome = :outcome, closed_at = {when}"), {"outcome": outcome})


@pytest.mark.parametrize("outcome", ["unsold", "withdrawn"])
def test_of_a_listing_without_a_sale_everybodys_goes_back(sale, outcome) -> None:
    end(sale, outcome)
    assert regain(sale) == EVERYBODY
    assert regain(sale) == EVERYBODY
    assert len(sale.orders()) == len(EVERYBODY)


def test_nobodys_goes_back_while_the_auction_runs(sale) -> None:
    end(sale, None, closed=False)
    assert regain(sale) == set()


def test_of_a_sale_only_the_losers_goes_back_until_the_contract_is_signed(sale) -> None:
    sale.award()
    assert regain(sale) == {"third_buyer"}, "the deal is not open yet, and its runner-up waits"
    sale.work()
    assert regain(sale) == {"third_buyer"}
    sale.sign()
    assert regain(sale) == {"third_buyer", "other_buyer"}


def test_a_winners_stays_while_it_owes_some_of_the_price_though_both_have_signed(sale, monkeypatch) -> None:
    sale.award()
    sale.work()
    sale.sign()
    sale.work()
    held, back = {sale.registrations[who] for who in ("buyer", "other_buyer")}, []
    monkeypatch.setattr(deposits, "held", lambda *_, registration_id, **__: int(registration_id in held))
    monkeypatch.setattr(deposits, "release", lambda *_, registration_id, **__: back.append(registration_id))
    assert sale.deal()["state"] == "signed"

    def regained() -> None:
        with sale.sessions.begin() as session:
            for one in sorted(held):
                releases.release_late(session, registration_id=one, actor=SYSTEM, at=sale.clock.now())

    regained()
    assert back == [sale.registrations["other_buyer"]]
    sale.pay_balance()
    sale.work()
    regained()
    assert sale.registrations["buyer"] in back, "the price is paid: nothing needs it"


def test_when_the_last_award_has_failed_everybodys_goes_back(sale) -> None:
    queue(sale, next_waits=False)
    fail(sale, FailureCause.SELLER_DECLINED)
    assert regain(sale) == EVERYBODY


def test_what_a_default_cost_is_a_persons_decision(sale) -> None:
    queue(sale, next_waits=False)
    fail(sale)
    sale.work()
    sale.statement((DEPOSIT, sale.references["buyer"], "buyer"))
    line = sale.api.as_(sale.people.finance).ok("GET", "/statement-lines?open=true")["items"][0]
    assert line["open"]["amount"] == "50000.00", "the defaulter pays again: nothing takes it by itself"
    assert regain(sale) == EVERYBODY - {"buyer"}
