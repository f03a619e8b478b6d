"""What became of deposits, added up from the books and the orders. The rules are `settlement.domain.deposit_life`."""

import uuid
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ARRAY, String, Uuid, any_, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from settlement.domain import ledger as books
from settlement.domain.deposit_life import DepositFigures
from settlement.domain.orders import GONE, PaymentOrderState, PaymentPurpose
from settlement.models import Account, Entry, PaymentOrder, Posting

_FIGURE_OF: Final = {
    "match.deposit": "received",
    "deposit.applied": "applied",
    "deposit.forfeited": "forfeited",
    "forfeiture.settled": "forfeited",
    "card_dispute.blocked": "disputed",
}
"""The figure that an entry (or its reversal) on the account of a deposit moves; orders tell the rest."""


def figures(session: Session, registration_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, DepositFigures]:
    """Return what became of each deposit; a constant number of queries."""
    session.flush()
    found = {one: dict.fromkeys(DepositFigures.__dataclass_fields__, 0) for one in registration_ids}
    keys = {books.deposits(one): one for one in registration_ids}
    original = aliased(Entry)
    moved = session.execute(
        select(Account.key, func.coalesce(original.source_kind, Entry.source_kind), func.sum(Posting.amount_minor))
        .join(Posting, Posting.account_id == Account.id)
        .join(Entry, Entry.id == Posting.entry_id)
        .outerjoin(original, original.id == Entry.reverses_id)
        .where(Account.key == any_(bindparam(None, list(keys), ARRAY(String))))
        .group_by(Account.key, func.coalesce(original.source_kind, Entry.source_kind))
    )
    for key, kind, minor in moved:
        mine = found[keys[key]]
        mine["held"] -= int(minor)
        figure = _FIGURE_OF.get(kind)
        if figure is not None:
            mine[figure] += -int(minor) if figure == "received" else int(minor)
    for registration_id, state, minor in _refunds(session, registration_ids):
        done = state is PaymentOrderState.SETTLED
        found[registration_id]["released" if done else "refunding"] += int(minor)
    return {one: DepositFigures(**parts) for one, parts in found.items()}


def _refunds(session: Session, registration_ids: Collection[uuid.UUID]) -> Any:
    return session.execute(
        select(PaymentOrder.registration_id, PaymentOrder.state, func.sum(PaymentOrder.amount_minor))
        .where(
            PaymentOrder.registration_id == any_(bindparam(None, list(registration_ids), ARRAY(Uuid))),
            PaymentOrder.purpose == PaymentPurpose.DEPOSIT_REFUND,
            PaymentOrder.state.not_in(GONE),
        )
        .group_by(PaymentOrder.registration_id, PaymentOrder.state)
    )
