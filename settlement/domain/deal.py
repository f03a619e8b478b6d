"""The life of a deal (one award being settled): two conditions, money and contract, in either order; then title.

A deal is paid when the whole balance has been received, concluded when seller and buyer have both signed. Only both
together let the money go to the seller and the cases to the buyer. Pure.
"""

import enum
from datetime import date, datetime, timedelta
from typing import Final

from marketplace.clock import local_date
from marketplace.errors import Conflict, NotFound, Refused
from marketplace.lifecycle import Lifecycle
from marketplace.money import Money

PAYMENT_DAYS: Final = 10
"""Days after the award in which the balance is due, unless the listing says otherwise (K: configurable practice)."""

ZONE: Final = "Asia/Shanghai"
"""The zone whose calendar gives an invoice its dates."""


class DealState(enum.StrEnum):
    """Where a deal stands."""

    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    SIGNED = "signed"
    READY = "ready"
    DISTRIBUTED = "distributed"
    SETTLED = "settled"
    CANCELLED = "cancelled"


DEAL: Final = Lifecycle(
    "deal",
    DealState.AWAITING_PAYMENT,
    (
        (DealState.AWAITING_PAYMENT, "pay", DealState.PAID),
        (DealState.AWAITING_PAYMENT, "sign-contract", DealState.SIGNED),
        (DealState.PAID, "sign-contract", DealState.READY),
        (DealState.SIGNED, "pay", DealState.READY),
        (DealState.READY, "distribute", DealState.DISTRIBUTED),
        (DealState.DISTRIBUTED, "settle", DealState.SETTLED),
        (DealState.AWAITING_PAYMENT, "cancel", DealState.CANCELLED),
        (DealState.PAID, "cancel", DealState.CANCELLED),
        (DealState.SIGNED, "cancel", DealState.CANCELLED),
        (DealState.READY, "cancel", DealState.CANCELLED),
    ),
)
"""`ready` is paid and signed; `distributed` has every entry and every allocation; `settled` has its cases sold;
`cancelled`: its award failed, and every entry of it is taken back."""

OPEN_FOR_PAYMENT: Final = frozenset({DealState.AWAITING_PAYMENT, DealState.SIGNED})
"""States in which the balance is still awaited."""

DISTRIBUTED: Final = frozenset({DealState.DISTRIBUTED, DealState.SETTLED})
"""States in which the net proceeds and every allocation are fixed for good."""


class Party(enum.StrEnum):
    """Who signs the contract of a deal."""

    SELLER = "seller"
    BUYER = "buyer"


class DealNotFound(NotFound):
    """There is no such deal, or it is not the actor's."""

    def __init__(self, deal_id: object) -> None:
        super().__init__("deal", deal_id)


class PaymentStands(Conflict):
    """The deal is paid: what was counted toward it is not taken back any more."""

    code = "payment_stands"

    def __init__(self) -> None:
        super().__init__("The deal is paid; a payment of it is not taken back, only refunded.")


class InstalmentNotFound(NotFound):
    """There is no such instalment, or its deal is not the actor's."""

    def __init__(self, instalment_id: object) -> None:
        super().__init__("instalment", instalment_id)


class InstalmentStands(Conflict):
    """The receipt is distributed: seller, third parties and cases have their parts of it."""

    code = "instalment_stands"

    def __init__(self) -> None:
        super().__init__("This payment is distributed to seller and cases; it is not taken back any more.")


class NotAParty(Refused):
    """Only seller and buyer sign a contract."""

    code = "not_a_party"

    def __init__(self) -> None:
        super().__init__("The contract is signed by the seller and the buyer of the deal, by nobody else.")


class NotDistributed(Conflict):
    """There are no net proceeds and no allocations yet."""

    code = "not_distributed"

    def __init__(self, state: DealState) -> None:
        super().__init__(f"The deal is {state.value}: its price has not been distributed yet.", state=state.value)


class FeeScheduleMissing(Conflict):
    """No fee rules are in force for the currency on the day of the award."""

    code = "fee_schedule_missing"

    def __init__(self, currency: str, on: date) -> None:
        super().__init__(f"There is no fee schedule in force for {currency} on {on.isoformat()}.", currency=currency)


def due_on(awarded_at: datetime) -> date:
    """Return the day until which the balance is due."""
    return local_date(awarded_at, ZONE) + timedelta(days=PAYMENT_DAYS)


def applied(*, due: Money, received: Money) -> tuple[Money, Money]:
    """Split a payment into what pays the balance still due and what is left over (unapplied)."""
    pays = min(due, received)
    return pays, received - pays
