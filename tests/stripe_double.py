"""A double of Stripe with state, for the real SDK (`tests.stripe_server` serves it). Honest where public fakes are not.

It keeps customers, PaymentIntents, charges, refunds, disputes, balance transactions and payouts; compares the
parameters of a repeated idempotency key (another request under a used key is 400 `idempotency_error`, also after an
answer that was lost) and replays the first answer; refuses refunds above what is left of a charge, of a charge that is
contested or was lost and of an unpaid intent, cancels of a paid intent, amounts under the minimum, above eight digits,
or not in tens for currencies of three decimals; takes a fee of 2.9 % + 30, a dispute fee of 1500; pages its lists.
Events are signed with the real scheme and can be had as often and in what order a test wants. Failures on demand: an
answer lost after its effect, a 500 before any, a timeout, 429; refunds that are pending at first (`refunds_pending`).

What it does not do: card confirmation in a browser (`pay` is the payer), 3-D Secure, holds (everything is captured),
currency conversion, Connect, Radar, taxes, the delay of the search index, the delay of balance transactions (unless
`hold_balance`), key permissions, more parameters than this product sends (a parameter it does not know is refused).
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import stripe

MAX = 99_999_999
MINIMUM = {"eur": 50, "usd": 50, "jpy": 50, "gbp": 30}
IN_TENS = {"kwd", "bhd"}
PARAMETERS = {
    "/v1/customers": {"name", "metadata"},
    "/v1/payment_intents": {
        "amount", "currency", "customer", "capture_method", "automatic_payment_methods", "description", "metadata",
        "expand",
    },
    "/v1/payment_intents/*/cancel": {"cancellation_reason", "expand"},
    "/v1/refunds": {"payment_intent", "amount", "reason", "metadata"},
}  # fmt: skip


class Refused(Exception):
    """Stripe says no: HTTP status, type, code, message."""

    def __init__(self, status: int, kind: str, code: str, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.document = {"error": {"type": kind, "code": code, "message": message}}


def invalid(code: str, message: str, status: int = 400) -> Refused:
    return Refused(status, "invalid_request_error", code, message)


@dataclass
class Request:
    """What was asked, as it came."""

    method: str
    path: str
    values: dict[str, Any]
    body: str
    query: str
    key: str


@dataclass
class Failure:
    """What goes wrong with the next requests that fit: `before`, `lost`, `slow` or `busy`."""

    method: str
    path: str
    how: str
    times: int


@dataclass
class StripeDouble:
    """The state, and what tests may do to it. Everything is guarded by one lock."""

    secret: str = "whsec_test"
    now: int = 1_772_442_000
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[Any, int, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    hold_balance: bool = False
    refunds_pending: bool = False
    seconds_slow: float = 1.0
    on_request: Callable[[Request], None] = lambda _: None
    lock: Any = field(default_factory=threading.RLock)
    base: str = ""

    # what a test does

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Every object of a kind, oldest first."""
        return [one for one in self.objects.values() if one["object"] == kind]

    def fail(self, method: str, path: str, how: str, times: int = 1) -> None:
        """Let the next `times` requests of a method whose path fits the expression go wrong."""
        self.failures.append(Failure(method, path, how, times))

    def pay(self, intent_id: str, *, declined: str = "") -> None:
        """The payer confirms an intent with a good card, or with one that is declined."""
        with self.lock:
            intent = self.objects[intent_id]
            if intent["status"] in {"succeeded", "canceled"}:
                raise AssertionError(f"{intent_id} is {intent['status']}")
            if declined:
                intent["last_payment_error"] = {"code": declined, "message": "Your card was declined."}
                self.announce("payment_intent.payment_failed", intent)
                return
            charge = self.add(
                "ch", "charge", amount=intent["amount"], amount_captured=intent["amount"], amount_refunded=0,
                currency=intent["currency"], payment_intent=intent_id, status="succeeded", disputed=False,
            )  # fmt: skip
            intent |= {
                "status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"],
                "last_payment_error": None,
            }  # fmt: skip
            fee = intent["amount"] * 29 // 1000 + 30
            charge["balance_transaction"] = self.move(charge, "charge", intent["amount"], fee)
            self.announce("charge.succeeded", charge)
            self.announce("payment_intent.succeeded", intent)

    def charge_by_hand(self, amount: int, currency: str = "cny") -> dict[str, Any]:
        """Somebody charges a card in Stripe's own pages."""
        with self.lock:
            intent = self.add(
                "pi", "payment_intent", amount=amount, currency=currency, status="requires_payment_method",
                amount_received=0, latest_charge=None, last_payment_error=None, customer=None, metadata={},
            )  # fmt: skip
            self.pay(intent["id"])
            return intent

    def refund_by_hand(self, intent_id: str, amount: int) -> dict[str, Any]:
        """Somebody refunds in Stripe's own pages."""
        with self.lock:
            return self.refund({"payment_intent": intent_id, "amount": str(amount), "metadata": {}})

    def end_refund(self, refund_id: str, status: str) -> None:
        """A refund succeeds, or fails: then its money comes back into the balance."""
        with self.lock:
            refund = self.objects[refund_id]
            refund["status"] = status
            if status in {"failed", "canceled"}:
                refund["failure_reason"] = "lost_or_stolen_card"
                self.move(refund, "refund_failure", refund["amount"], 0)
            self.announce("refund.failed" if status == "failed" else "refund.updated", refund)

    def dispute(self, intent_id: str, *, amount: int | None = None, inquiry: bool = False) -> dict[str, Any]:
        """The cardholder contests a payment; unless it is an inquiry Stripe takes the money and a fee at once."""
        with self.lock:
            intent = self.objects[intent_id]
            charge = self.objects[intent["latest_charge"]]
            charge["disputed"] = True
            status = "warning_needs_response" if inquiry else "needs_response"
            dispute = self.add(
                "du", "dispute", amount=amount or charge["amount"], currency=charge["currency"], charge=charge["id"],
                payment_intent=intent_id, status=status, reason="fraudulent",
                evidence_details={"due_by": self.now + 7 * 86_400},
            )  # fmt: skip
            self.announce("charge.dispute.created", dispute)
            if not inquiry:
                self.move(dispute, "adjustment", -dispute["amount"], 1500)
                self.announce("charge.dispute.funds_withdrawn", dispute)
            return dispute

    def end_dispute(self, dispute_id: str, status: str) -> None:
        """A dispute is won (its money comes back), lost, or an inquiry is closed."""
        with self.lock:
            dispute = self.objects[dispute_id]
            dispute["status"] = status
            if status == "won":
                self.move(dispute, "adjustment", dispute["amount"], -1500)
                self.announce("charge.dispute.funds_reinstated", dispute)
            self.announce("charge.dispute.closed", dispute)

    def pay_out(self, currency: str = "cny") -> dict[str, Any]:
        """The whole balance of a currency is sent to our bank, and reconciled by Stripe."""
        with self.lock:
            lines = [
                one for one in self.all("balance_transaction") if one["currency"] == currency and not one["_payout"]
            ]
            payout = self.add(
                "po", "payout", amount=sum(one["net"] for one in lines), currency=currency, automatic=True,
                status="in_transit", arrival_date=self.now, reconciliation_status="in_progress",
            )  # fmt: skip
            for one in lines:
                one["_payout"] = payout["id"]
            self.move(payout, "payout", -payout["amount"], 0)
            self.announce("payout.created", payout)
            return payout

    def end_payout(self, payout_id: str, status: str) -> None:
        """A payout arrives, or fails: then its money comes back into the balance."""
        with self.lock:
            payout = self.objects[payout_id]
            payout |= {"status": status, "reconciliation_status": "completed"}
            if status == "failed":
                self.move(payout, "payout_failure", payout["amount"], 0)
            self.announce(f"payout.{status}", payout)

    def take_fee(self, amount: int, currency: str = "cny") -> None:
        """Stripe bills us for something else."""
        with self.lock:
            self.move({"id": None, "currency": currency}, "stripe_fee", -amount, 0)

    def signed(self, event: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """Body and headers of an event, as Stripe would send them now."""
        body = json.dumps(event)
        return body, {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, self.secret)}

    def balance(self, currency: str = "cny") -> int:
        """What our balance comes to."""
        return sum(one["net"] for one in self.all("balance_transaction") if one["currency"] == currency)

    # what it does itself

    def add(self, prefix: str, kind: str, **values: Any) -> dict[str, Any]:
        self.now += 1
        name = f"{prefix}_{len(self.objects) + 1:06d}"
        self.objects[name] = {"id": name, "object": kind, "created": self.now, "metadata": {}, **values}
        return self.objects[name]

    def move(self, source: dict[str, Any], kind: str, amount: int, fee: int) -> str:
        row = self.add(
            "txn", "balance_transaction", type=kind, source=source["id"], amount=amount, fee=fee, net=amount - fee,
            currency=source["currency"], description=None, _payout=source["id"] if kind == "payout" else "",
        )  # fmt: skip
        return str(row["id"])

    def announce(self, kind: str, about: dict[str, Any]) -> None:
        stale = {name: value for name, value in about.items() if not name.startswith("_")}
        event = {"id": f"evt_{len(self.events) + 1:06d}", "object": "event", "type": kind, "data": {"object": stale}}
        self.events.append(json.loads(json.dumps(event)))

    def failing(self, request: Request) -> str:
        """Keep a request, and say what goes wrong with it; empty when nothing does."""
        self.on_request(request)
        with self.lock:
            self.requests.append(request)
            for failure in self.failures:
                if failure.times and failure.method == request.method and re.fullmatch(failure.path, request.path):
                    failure.times -= 1
                    return failure.how
        return ""

    def once(self, request: Request) -> tuple[int, Any]:
        """Answer a request: status and document. The same key and parameters again get the first answer."""
        asked = (request.path, request.body)
        with self.lock:
            if request.key in self.answers:
                first, status, document = self.answers[request.key]
                if first != asked:
                    message = "Keys for idempotent requests can only be used with the same parameters."
                    return 400, {"error": {"type": "idempotency_error", "message": message}}
                return status, document
            try:
                status, document = 200, self.answer(request)
            except Refused as refused:
                status, document = refused.status, refused.document
            document = json.loads(json.dumps(document))
            if request.key and request.method == "POST":
                self.answers[request.key] = (asked, status, document)
            return status, document

    def answer(self, request: Request) -> Any:
        """Do what a request asks for; raise `Refused`."""
        if request.method == "GET":
            return self.look(request)
        general = re.sub(r"/(pi|cus|re)_[^/]+", "/*", request.path)
        unknown = set(request.values) - PARAMETERS.get(general, set(request.values))
        if unknown:
            raise invalid("parameter_unknown", f"Received unknown parameters: {', '.join(sorted(unknown))}")
        if request.path == "/v1/customers":
            return self.add("cus", "customer", **request.values)
        if request.path == "/v1/payment_intents":
            return self.intent(request.values)
        if request.path == "/v1/refunds":
            return self.refund(request.values)
        if request.path.endswith("/cancel"):
            return self.cancel(self.found(request.path.split("/")[3]), request.values)
        raise invalid("url_invalid", f"Unrecognized request URL ({request.path}).", 404)

    def intent(self, values: dict[str, Any]) -> dict[str, Any]:
        amount, currency = int(values["amount"]), values["currency"]
        self.found(values["customer"])
        if amount < MINIMUM.get(currency, 1):
            raise invalid("amount_too_small", "Amount must be at least the minimum of the currency.")
        if amount > MAX:
            raise invalid("amount_too_large", "Amount must be no more than 999,999.99.")
        if currency in IN_TENS and amount % 10:
            raise invalid("parameter_invalid_integer", "The last digit of a three-decimal amount must be 0.")
        if values.get("capture_method") not in {"automatic", "automatic_async"}:
            raise AssertionError("money is captured at once")
        expand = values.pop("expand", [])
        made = self.add(
            "pi", "payment_intent", **values | {"amount": amount}, status="requires_payment_method",
            amount_received=0, latest_charge=None, last_payment_error=None,
        )  # fmt: skip
        made["client_secret"] = f"{made['id']}_secret_{len(self.objects)}"
        self.announce("payment_intent.created", made)
        return self.expanded(made, expand)

    def cancel(self, intent: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        if intent["status"] in {"succeeded", "canceled", "processing"}:
            raise invalid("payment_intent_unexpected_state", f"The intent is {intent['status']}.")
        intent["status"] = "canceled"
        self.announce("payment_intent.canceled", intent)
        return self.expanded(intent, values.get("expand", []))

    def refund(self, values: dict[str, Any]) -> dict[str, Any]:
        intent = self.found(values["payment_intent"])
        amount = int(values["amount"])
        if intent["status"] != "succeeded":
            raise invalid("payment_intent_unexpected_state", "This intent has no successful charge to refund.")
        charge = self.objects[intent["latest_charge"]]
        contests = [one["status"] for one in self.all("dispute") if one["charge"] == charge["id"]]
        if not set(contests) <= {"won", "warning_closed"}:
            raise invalid("charge_disputed", "The charge was charged back and cannot be refunded.")
        left = charge["amount"] - charge["amount_refunded"]
        if not left:
            raise invalid("charge_already_refunded", "The charge has already been refunded.")
        if not 0 < amount <= left:
            raise invalid("amount_too_large", f"Refund amount is greater than unrefunded amount on charge ({left}).")
        charge["amount_refunded"] += amount
        made = self.add(
            "re", "refund", amount=amount, currency=charge["currency"], charge=charge["id"], failure_reason=None,
            status="pending" if self.refunds_pending else "succeeded", payment_intent=intent["id"],
            metadata=values["metadata"],
        )  # fmt: skip
        self.move(made, "refund", -amount, 0)
        self.announce("refund.created", made)
        self.announce("charge.refunded", charge)
        return made

    def look(self, request: Request) -> Any:
        kinds = {
            "payment_intents": "payment_intent", "refunds": "refund", "disputes": "dispute", "payouts": "payout",
            "balance_transactions": "balance_transaction", "customers": "customer", "charges": "charge",
        }  # fmt: skip
        parts = request.path.split("/")
        kind, values = kinds[parts[2]], request.values
        if parts[3:] == ["search"]:
            wanted = dict(re.findall(r"metadata\['(\w+)'\]:'([^']+)'", values["query"]))
            rows = [one for one in self.all(kind) if wanted.items() <= one["metadata"].items()]
            return {"object": "search_result", "url": request.path, "has_more": False, "data": rows}
        if len(parts) == 4:
            return self.expanded(self.found(parts[3], kind), values.get("expand", []))
        return self.page(request, [one for one in self.all(kind)[::-1] if self.fits(one, values)])

    def fits(self, one: dict[str, Any], values: dict[str, Any]) -> bool:
        if one["object"] == "balance_transaction" and self.hold_balance:
            return False
        if "payout" in values and one["_payout"] != values["payout"]:
            return False
        if one["created"] < int(values.get("created", {}).get("gte", 0)):
            return False
        return all(one.get(name) == values[name] for name in ("customer", "payment_intent") if name in values)

    def page(self, request: Request, rows: list[dict[str, Any]]) -> dict[str, Any]:
        values = request.values
        if "starting_after" in values:
            names = [one["id"] for one in rows]
            rows = rows[names.index(values["starting_after"]) + 1 :]
        limit = min(int(values.get("limit", 10)), 100)
        expand = [one.removeprefix("data.") for one in values.get("expand", [])]
        data = [self.expanded(one, expand) for one in rows[:limit]]
        return {"object": "list", "url": request.path, "has_more": len(rows) > limit, "data": data}

    def expanded(self, one: dict[str, Any], names: list[str]) -> dict[str, Any]:
        return one | {name: self.objects[one[name]] for name in names if one.get(name)}

    def found(self, name: str, kind: str | None = None) -> dict[str, Any]:
        one = self.objects.get(name)
        if one is None or (kind and one["object"] != kind):
            raise invalid("resource_missing", f"No such object: '{name}'", 404)
        return one
