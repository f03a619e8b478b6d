"""What settlement hands to the doors, and the chain of its steps: each subscription is one step in its own transaction.

A worker may die before or after any of them: the delivery is marked in the transaction of the step, and every step
done twice is done once.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from marketplace.actor import SYSTEM
from marketplace.module import Module
from marketplace.outbox import Subscription
from settlement import (
    aftersale_api,
    announcing,
    assignment_api,
    assignment_notices,
    card_tasks,
    closing_api,
    closings,
    deal_api,
    deals,
    default_api,
    defaults,
    instalments,
    ledger_tasks,
    money_tasks,
    notices,
    payouts,
    releases,
)


def open_awarded_deal(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`auction.awarded`: owe the price, apply the winner's deposit, invoice the balance."""
    deals.open_deal(session, award_id=uuid.UUID(payload["award_id"]), actor=SYSTEM, at=at)


def release_failed_listing(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`auction.failed`: every deposit goes back, but for what a default cost."""
    releases.release_listing(session, listing_id=uuid.UUID(payload["listing_id"]), actor=SYSTEM, at=at)


def handle_failed_award(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`award.failed`: its deal is cancelled, its deposit lost or given back."""
    defaults.handle_failed_award(session, award_id=uuid.UUID(payload["award_id"]), actor=SYSTEM, at=at)


def release_bidder(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`award.released`: the deposit of a bidder that need not wait any longer goes back."""
    releases.release_bidder(
        session,
        listing_id=uuid.UUID(payload["listing_id"]),
        registration_id=uuid.UUID(payload["registration_id"]),
        reason="not awarded",
        actor=SYSTEM,
        at=at,
    )


def release_losers(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.opened`: losers' deposits go back, the runner-up's stays."""
    releases.release_losers(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def issue_balance_notice(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.opened`: the buyer is asked for the balance."""
    notices.issue_balance(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def confirm_contract(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.contract_signed`: auctions learns of it."""
    deals.confirm_contract(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def release_runner_up(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.contract_signed`: the runner-up's deposit goes back."""
    releases.release_runner_up(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def distribute_ready_deal(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.ready`: entries, allocations, the payout; undecided terms come first, and their decision asks again."""
    if closings.are_undecided(session, _deal(payload)):
        return
    payouts.distribute_deal(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def distribute_at_signature(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.contract_signed`: what came in before, where the terms say per instalment."""
    distribute_instalments(session, payload, at)


def distribute_instalments(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.distribution_due`: what came in so far, where the terms say per instalment."""
    instalments.distribute_received(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def record_proceeds(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.distributed`: every case shows what it received."""
    payouts.record_proceeds(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def freeze_cases(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.distributed`: price, net and proceeds of every case are written down."""
    closings.freeze_cases(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def settle_recorded_deal(session: Session, payload: Mapping[str, Any], at: datetime) -> None:
    """`deal.proceeds_recorded`: the cases are the buyer's."""
    payouts.settle_deal(session, deal_id=_deal(payload), actor=SYSTEM, at=at)


def _deal(payload: Mapping[str, Any]) -> uuid.UUID:
    return uuid.UUID(payload["deal_id"])


SUBSCRIPTIONS: Final = (
    Subscription("auction.awarded", open_awarded_deal),
    Subscription("auction.failed", release_failed_listing),
    Subscription("award.failed", handle_failed_award),
    Subscription("award.released", release_bidder),
    Subscription("deal.opened", release_losers),
    Subscription("deal.opened", issue_balance_notice),
    Subscription("deal.contract_signed", confirm_contract),
    Subscription("deal.contract_signed", release_runner_up),
    Subscription("deal.contract_signed", distribute_at_signature),
    Subscription("deal.distribution_due", distribute_instalments),
    Subscription("deal.ready", distribute_ready_deal),
    Subscription("deal.distributed", record_proceeds),
    Subscription("deal.distributed", freeze_cases),
    Subscription("deal.proceeds_recorded", settle_recorded_deal),
)

module = Module(
    name="settlement",
    blueprints=(
        *money_tasks.BLUEPRINTS,
        *card_tasks.BLUEPRINTS,
        *ledger_tasks.BLUEPRINTS,
        deal_api.blueprint,
        default_api.blueprint,
        closing_api.blueprint,
        aftersale_api.blueprint,
        assignment_api.blueprint,
    ),
    subscriptions=(
        *money_tasks.SUBSCRIPTIONS,
        *card_tasks.SUBSCRIPTIONS,
        *announcing.SUBSCRIPTIONS,
        *SUBSCRIPTIONS,
    ),
    jobs={**money_tasks.JOBS, assignment_notices.WRITE_JOB: assignment_notices.write_notices},
    errands=card_tasks.ERRANDS,
    periodic=(*money_tasks.PERIODIC, *card_tasks.PERIODIC, *ledger_tasks.PERIODIC),
    commands=ledger_tasks.commands,
)
