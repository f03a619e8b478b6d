"""The one door to Stripe: what we ask of it, each call with what comes back as plain values.

Nothing here touches the database: calls are made between transactions (`marketplace.errands`). Whatever makes something
at Stripe carries an idempotency key made from our row, and when it may have been asked before is looked up first: the
key protects for a day (Stripe forgets it after 24 hours), the look-up for ever.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import stripe

from marketplace.errors import Conflict, Unavailable
from marketplace.settings import Settings

TIMEOUT_SECONDS: Final = 20
PAGE: Final = 100
MAX_LINES: Final = 100_000
"""Balance lines of one look at the balance or at a payout; more is refused, never silently cut."""


class StripeOff(Unavailable):
    """No key of Stripe is configured."""

    code = "stripe_off"

    def __init__(self) -> None:
        super().__init__("Card payments are off: this installation has no Stripe key. Pay the deposit by bank wire.")


class StripeFailed(Unavailable):
    """Stripe gave no answer that says what happened; it is asked again."""

    code = "stripe_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Stripe did not answer as expected ({reason}). It is asked again; nothing is done twice.")


class StripeBusy(Unavailable):
    """Stripe wants fewer requests (429)."""

    code = "stripe_busy"

    def __init__(self, seconds: int) -> None:
        super().__init__("Stripe is asked too often; it is asked again later.", retry_after=seconds)


class StripeRefused(Conflict):
    """Stripe understood and said no: asking the same again changes nothing. `word` and `reason` are its own."""

    code = "stripe_refused"

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(f"Stripe refused ({word}): {reason}", stripe_code=word)
        self.word = word
        self.reason = reason


@dataclass(frozen=True, slots=True)
class IntentSeen:
    """A PaymentIntent as Stripe has it now. `received_minor` is what its charge took, 0 before.

    `payment_id` is our card payment, empty when it was not made by us.
    """

    intent_id: str
    status: str
    amount_minor: int
    received_minor: int
    currency: str
    charge_id: str
    payment_id: str
    error: str


@dataclass(frozen=True, slots=True)
class RefundSeen:
    """A refund as Stripe has it now; `order_id` is our payment order, empty when it was not ours."""

    refund_id: str
    status: str
    intent_id: str
    amount_minor: int
    currency: str
    order_id: str
    error: str


@dataclass(frozen=True, slots=True)
class DisputeSeen:
    """A dispute as Stripe has it now, with the payment that it is about."""

    dispute_id: str
    status: str
    reason: str
    amount_minor: int
    currency: str
    opened_at: datetime
    evidence_due_at: datetime | None
    intent: IntentSeen


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """A balance transaction: amount − fee = net, in +, out −; `source` is the object that moved our balance."""

    transaction_id: str
    kind: str
    source: str
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    description: str
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class PayoutSeen:
    """A payout as Stripe has it now; `lines` what it consists of, None where Stripe does not say (yet)."""

    payout_id: str
    status: str
    automatic: bool
    amount_minor: int
    currency: str
    arrival_on: date
    lines: tuple[BalanceLine, ...] | None


@functools.cache
def _client(key: str, base: str | None) -> stripe.StripeClient:
    addresses = {"api": base} if base else None
    http = stripe.RequestsClient(timeout=TIMEOUT_SECONDS)
    return stripe.StripeClient(key, base_addresses=addresses, http_client=http, max_network_retries=0)


def client_of(settings: Settings) -> stripe.StripeClient:
    """Return the client of this installation's account; raise `StripeOff`. It never retries: the errand does."""
    if settings.stripe_api_key is None:
        raise StripeOff
    return _client(settings.stripe_api_key, settings.stripe_api_base)


def asked(call: Callable[[], Any]) -> Any:
    """Call Stripe: a no is `StripeRefused`; what leaves open what happened is `StripeFailed` or `StripeBusy`."""
    try:
        return call()
    except stripe.RateLimitError as error:
        wait = str((error.headers or {}).get("Retry-After", ""))
        raise StripeBusy(int(wait) if wait.isdigit() else 1) from error
    except stripe.IdempotencyError as error:
        raise StripeFailed("our key was used for another request") from error
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        raise StripeRefused(error.code or "invalid_request", error.user_message or str(error)) from error
    except stripe.StripeError as error:
        raise StripeFailed(type(error).__name__) from error


def find_customer(client: stripe.StripeClient, *, organisation_id: str) -> str | None:
    """Return the customer that we made for an organisation, None when Stripe's search knows none."""
    query = {"query": f"metadata['organisation_id']:'{organisation_id}'"}
    found = _one(lambda: client.v1.customers.search(query))["data"]
    return str(found[0]["id"]) if found else None


def make_customer(client: stripe.StripeClient, *, key: str, organisation_id: str, name: str) -> str:
    """Make the customer of an organisation and return its id."""
    customer = {"name": name, "metadata": {"organisation_id": organisation_id}}
    return str(_one(lambda: client.v1.customers.create(customer, {"idempotency_key": key}))["id"])


def find_intent(client: stripe.StripeClient, *, customer_id: str, payment_id: str) -> IntentSeen | None:
    """Return the PaymentIntent that we made for a card payment, None when the customer has none."""
    wanted = {"customer": customer_id, "limit": PAGE, "expand": ["data.latest_charge"]}
    rows = _all(lambda: client.v1.payment_intents.list(wanted))
    return next((_intent(row) for row in rows if _said(row, "payment_id") == payment_id), None)


def make_intent(
    client: stripe.StripeClient,
    *,
    key: str,
    customer_id: str,
    payment_id: str,
    reference: str,
    amount_minor: int,
    currency: str,
) -> IntentSeen:
    """Make a PaymentIntent that is captured as soon as the payer confirms it: never only authorised."""
    intent = {
        "amount": amount_minor,
        "currency": currency.lower(),
        "customer": customer_id,
        "capture_method": "automatic",
        "automatic_payment_methods": {"enabled": True},
        "description": f"Deposit {reference}",
        "metadata": {"payment_id": payment_id, "deposit_reference": reference},
        "expand": ["latest_charge"],
    }
    return _intent(_one(lambda: client.v1.payment_intents.create(intent, {"idempotency_key": key})))


def fetch_intent(client: stripe.StripeClient, intent_id: str) -> IntentSeen:
    """Return a PaymentIntent as it stands; a charge's id leads to its intent."""
    if intent_id.startswith(("ch_", "py_")):
        charge = _one(lambda: client.v1.charges.retrieve(intent_id))
        if not charge["payment_intent"]:
            return _lone_charge(charge)
        intent_id = charge["payment_intent"]
    return _intent(_one(lambda: client.v1.payment_intents.retrieve(intent_id, {"expand": ["latest_charge"]})))


def client_secret(client: stripe.StripeClient, intent_id: str) -> str:
    """Return what lets the payer's browser confirm a PaymentIntent; asked for each time, never kept."""
    return str(_one(lambda: client.v1.payment_intents.retrieve(intent_id))["client_secret"])


def cancel_intent(client: stripe.StripeClient, *, key: str, intent_id: str) -> IntentSeen:
    """Give up a PaymentIntent that was not paid, and return it as it then stands, paid or given up."""
    wanted = {"cancellation_reason": "abandoned", "expand": ["latest_charge"]}
    try:
        return _intent(_one(lambda: client.v1.payment_intents.cancel(intent_id, wanted, {"idempotency_key": key})))
    except StripeRefused:
        return fetch_intent(client, intent_id)


def find_refund(client: stripe.StripeClient, *, intent_id: str, order_id: str) -> RefundSeen | None:
    """Return the refund that we made for a payment order, None when the payment has none."""
    rows = _all(lambda: client.v1.refunds.list({"payment_intent": intent_id, "limit": PAGE}))
    return next((_refund(row) for row in rows if _said(row, "order_id") == order_id), None)


def make_refund(
    client: stripe.StripeClient, *, key: str, intent_id: str, order_id: str, reference: str, amount_minor: int
) -> RefundSeen:
    """Send back `amount_minor` of a payment to its card, in full or in part."""
    refund = {
        "payment_intent": intent_id,
        "amount": amount_minor,
        "reason": "requested_by_customer",
        "metadata": {"order_id": order_id, "order_reference": reference},
    }
    return _refund(_one(lambda: client.v1.refunds.create(refund, {"idempotency_key": key})))


def fetch_refund(client: stripe.StripeClient, refund_id: str) -> RefundSeen:
    """Return a refund as it stands."""
    return _refund(_one(lambda: client.v1.refunds.retrieve(refund_id)))


def fetch_dispute(client: stripe.StripeClient, dispute_id: str) -> DisputeSeen:
    """Return a dispute as it stands, and its payment."""
    row = _one(lambda: client.v1.disputes.retrieve(dispute_id))
    due = (row["evidence_details"] or {}).get("due_by")
    return DisputeSeen(
        dispute_id=row["id"],
        status=row["status"],
        reason=row["reason"],
        amount_minor=row["amount"],
        currency=row["currency"].upper(),
        opened_at=_instant(row["created"]),
        evidence_due_at=_instant(due) if due else None,
        intent=fetch_intent(client, row.get("payment_intent") or row["charge"]),
    )


def list_disputes(client: stripe.StripeClient, *, since: datetime) -> list[str]:
    """Return the ids of the disputes opened since an instant."""
    wanted = {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
    return [str(row["id"]) for row in _all(lambda: client.v1.disputes.list(wanted))]


def list_balance(client: stripe.StripeClient, *, since: datetime | None) -> list[BalanceLine]:
    """Return the lines of our balance since an instant (None: all), oldest first."""
    wanted: dict[str, Any] = {"limit": PAGE}
    if since is not None:
        wanted["created"] = {"gte": int(since.timestamp())}
    return [_line(row) for row in _all(lambda: client.v1.balance_transactions.list(wanted))][::-1]


def fetch_payout(client: stripe.StripeClient, payout_id: str) -> PayoutSeen:
    """Return a payout as it stands; of an automatic one that Stripe has reconciled also its lines, but its own."""
    row = _one(lambda: client.v1.payouts.retrieve(payout_id))
    lines = None
    if row["automatic"] and row["reconciliation_status"] == "completed":
        wanted = {"payout": payout_id, "limit": PAGE}
        found = _all(lambda: client.v1.balance_transactions.list(wanted))
        lines = tuple(_line(one) for one in found if one["source"] != payout_id)
    return PayoutSeen(
        payout_id=row["id"],
        status=row["status"],
        automatic=row["automatic"],
        amount_minor=row["amount"],
        currency=row["currency"].upper(),
        arrival_on=_instant(row["arrival_date"]).date(),
        lines=lines,
    )


def _one(call: Callable[[], Any]) -> dict[str, Any]:
    """One object as plain values."""
    found: dict[str, Any] = asked(call).to_dict()
    return found


def _all(first: Callable[[], Any]) -> list[dict[str, Any]]:
    """Every row of a list, page after page."""

    def read() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        pages: Iterable[Any] = first().auto_paging_iter()
        for row in pages:
            rows.append(row.to_dict())
            if len(rows) > MAX_LINES:
                raise StripeFailed(f"more than {MAX_LINES} rows in one list")
        return rows

    return list(asked(read))


def _said(row: dict[str, Any], name: str) -> str:
    return str((row["metadata"] or {}).get(name, ""))


def _lone_charge(charge: dict[str, Any]) -> IntentSeen:
    """A charge that no PaymentIntent made, and so none of ours."""
    return IntentSeen(
        intent_id="",
        status=charge["status"],
        amount_minor=charge["amount"],
        received_minor=int(charge["amount_captured"]) if charge["status"] == "succeeded" else 0,
        currency=charge["currency"].upper(),
        charge_id=charge["id"],
        payment_id="",
        error="",
    )


def _intent(row: dict[str, Any]) -> IntentSeen:
    charge = row["latest_charge"]
    failed = row["last_payment_error"]
    return IntentSeen(
        intent_id=row["id"],
        status=row["status"],
        amount_minor=row["amount"],
        received_minor=int(row["amount_received"] or 0),
        currency=row["currency"].upper(),
        charge_id=charge["id"] if charge else "",
        payment_id=_said(row, "payment_id"),
        error=str((failed or {}).get("message") or ""),
    )


def _refund(row: dict[str, Any]) -> RefundSeen:
    return RefundSeen(
        refund_id=row["id"],
        status=row["status"] or "pending",
        intent_id=row["payment_intent"] or "",
        amount_minor=row["amount"],
        currency=row["currency"].upper(),
        order_id=_said(row, "order_id"),
        error=str(row.get("failure_reason") or ""),
    )


def _line(row: dict[str, Any]) -> BalanceLine:
    return BalanceLine(
        transaction_id=row["id"],
        kind=row["type"],
        source=row["source"] or "",
        amount_minor=row["amount"],
        fee_minor=row["fee"],
        net_minor=row["net"],
        currency=row["currency"].upper(),
        description=(row["description"] or "")[:500],
        happened_at=_instant(row["created"]),
    )


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
