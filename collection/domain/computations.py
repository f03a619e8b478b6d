"""Every computation by its name: the documents `{"compute", "inputs"}` by which anyone recomputes our figures.

`compute` serves the command line, the preview over HTTP and the tests; the live services call the same pure functions.
Amounts in these documents have two decimals.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from collection.domain import balances, clocks, contact, levels
from marketplace.documents import BadDocument, Node
from marketplace.money import Money

ENGINE: Final = "collection 1"
"""Version of the rules; a change that moves any answer takes the next number."""
CURRENCY: Final = "CNY"
"""The documents name no currency; amounts are read and written with the two decimals of this one."""

_FIRST, _LAST = date(1970, 1, 1), date(2199, 12, 31)
_MOST = 1_000_000
_ZERO, _ONE = Decimal(0), Decimal(1)
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def compute(document: Node) -> dict[str, Any]:
    """Answer a document; raise `BadDocument` at the first place that is wrong."""
    places = document.object(["compute", "inputs"])
    name = places["compute"].one_of(sorted(COMPUTATIONS))
    return {"result": COMPUTATIONS[name](places["inputs"]), "engine": ENGINE}


def _amount(node: Node) -> Money:
    return node.amount(CURRENCY)


def _rate(node: Node) -> Decimal:
    return node.rate(_ZERO, _ONE)


def _day(node: Node, *, earliest: date = _FIRST, latest: date = _LAST) -> date:
    on = node.date()
    if not earliest <= on <= latest:
        raise node.refuse(f"a date from {earliest} to {latest}")
    return on


def _in_order(places: Sequence[Node], days: Sequence[date]) -> None:
    for place, (earlier, day) in zip(places[1:], pairwise(days), strict=True):
        if day < earlier:
            raise BadDocument(f"{place.pointer}/on", day.isoformat(), f"{earlier} or later: in order of date")


def _payment_order(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["payment", "order", "balances"])
    payment = _amount(places["payment"])
    if not isinstance(places["balances"].value, dict):
        raise places["balances"].refuse("an object of amounts by bucket")
    owed = {name: _amount(places["balances"].child(name)) for name in places["balances"].value}
    order = []
    for place in places["order"].list(maximum=_MOST):
        bucket = place.text()
        if bucket not in owed or bucket in order:
            raise place.refuse("each bucket of the balances exactly once")
        order.append(bucket)
    if len(order) != len(owed):
        raise places["order"].refuse("each bucket of the balances exactly once")
    done = balances.payment_order(payment, order, owed)
    return {"applied": {name: done.applied[name].text for name in owed}, "excess": done.excess.text}


def _delay_interest(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["judged_sum", "from_on", "to_on", "payments"])
    judged, start = _amount(places["judged_sum"]), _day(places["from_on"])
    end = _day(places["to_on"], earliest=start)
    rows = places["payments"].list(maximum=_MOST)
    payments = []
    for row in rows:
        fields = row.object(["on", "amount"])
        payments.append(balances.Payment(_day(fields["on"], earliest=start, latest=end), _amount(fields["amount"])))
    _in_order(rows, [payment.on for payment in payments])
    periods = balances.delay_interest(judged, from_on=start, to_on=end, payments=payments)
    return {
        "periods": [
            {"days": period.days, "on_sum": period.on_sum.text, "interest": period.interest.text} for period in periods
        ],
        "interest": sum((period.interest for period in periods), Money.zero(CURRENCY)).text,
    }


def _repayment_plan(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["principal", "annual_rate", "months"])
    principal, annual_rate = _amount(places["principal"]), _rate(places["annual_rate"])
    months = places["months"].integer(1, 1200)
    rows = balances.repayment_plan(principal, annual_rate=annual_rate, months=months)
    return {
        "instalment": balances.instalment_of(principal, annual_rate=annual_rate, months=months).text,
        "last_instalment": rows[-1].instalment.text,
        "interest": sum((row.interest for row in rows), Money.zero(CURRENCY)).text,
        "rows": [
            {
                "number": row.number,
                "instalment": row.instalment.text,
                "interest": row.interest.text,
                "principal": row.principal.text,
                "balance": row.balance.text,
            }
            for row in rows
        ],
    }


def _limitation(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["due_on", "events"])
    due_on = _day(places["due_on"])
    rows = places["events"].list(maximum=_MOST)
    events = []
    for row in rows:
        fields = row.object(["on", "kind"])
        kind = clocks.LimitationKind(fields["kind"].one_of(list(clocks.LimitationKind)))
        events.append(clocks.LimitationEvent(_day(fields["on"], earliest=due_on), kind))
    _in_order(rows, [event.on for event in events])
    expires_on, history = clocks.limitation(due_on, events)
    return {
        "expires_on": expires_on.isoformat(),
        "history": [
            {
                "on": step.on.isoformat(),
                "kind": step.kind.value,
                "restarts": step.restarts,
                "expires_on": step.expires_on.isoformat(),
            }
            for step in history
        ],
    }


def _guarantee(inputs: Node) -> dict[str, Any]:
    places = inputs.object(
        ["main_debt_due_on", "cap", "residual", "collectable_rate", "at_on"], ["months", "demanded_on"]
    )
    guarantee = clocks.Guarantee(
        main_debt_due_on=_day(places["main_debt_due_on"]),
        months=places["months"].integer(1, 1200) if places["months"].given else clocks.GUARANTEE_MONTHS,
        cap=_amount(places["cap"]),
        residual=_amount(places["residual"]),
        collectable_rate=_rate(places["collectable_rate"]),
        demanded_on=_day(places["demanded_on"]) if places["demanded_on"].given else None,
    )
    value = guarantee.value(_day(places["at_on"]))
    return {"expires_on": guarantee.expires_on.isoformat(), "value": value.text}


def _contact_gate(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["policy", "obligor", "relation", "channel", "at", "log"], ["number"])
    policy = _policy(places["policy"])
    question = contact.Question(
        person=_person(places["obligor"]),
        relation=contact.Relation(places["relation"].one_of(list(contact.Relation))),
        channel=contact.Channel(places["channel"].one_of(list(contact.Channel))),
        number=_number(places["number"]),
        at=places["at"].instant(),
        log=[_entry(row) for row in places["log"].list(maximum=_MOST)],
    )
    decision = contact.contact_gate(policy, question)
    rule = None if decision.rule is None else decision.rule.value
    return {"allowed": decision.allowed, "rule": rule, "reason": decision.reason}


def _number(node: Node) -> str | None:
    return node.text(maximum=100) if node.given else None


def _policy(node: Node) -> contact.ContactPolicy:
    limits = ("unanswered_per_number_per_day", "calls_in_seven_days", "days_after_conversation")
    places = node.object(["quiet", *limits, "third_persons"])
    attempts, calls, days = (places[name].integer(0, 10_000) if places[name].given else None for name in limits)
    quiet = None
    if places["quiet"].given:
        hours = places["quiet"].object(["from", "to"])
        quiet = contact.Quiet(_time(hours["from"]), _time(hours["to"]))
    return contact.ContactPolicy(
        quiet=quiet,
        unanswered_per_number_per_day=attempts,
        calls_in_seven_days=calls,
        days_after_conversation=days,
        third_persons=contact.ThirdPersons(places["third_persons"].one_of(list(contact.ThirdPersons))),
    )


def _time(node: Node) -> time:
    if not isinstance(node.value, str) or not _TIME.fullmatch(node.value):
        raise node.refuse("a time of day such as 22:00")
    return time.fromisoformat(node.value)


def _person(node: Node) -> contact.Person:
    places = node.object(["zone", "reachable", "consent"])
    zone = places["zone"].text(maximum=60)
    if not contact.is_zone(zone):
        raise places["zone"].refuse("a time zone such as Asia/Shanghai")
    return contact.Person(zone, reachable=places["reachable"].boolean(), consent=places["consent"].boolean())


def _entry(node: Node) -> contact.Contact:
    places = node.object(["at", "channel", "answered"], ["number"])
    return contact.Contact(
        at=places["at"].instant(),
        channel=contact.Channel(places["channel"].one_of(list(contact.Channel))),
        number=_number(places["number"]),
        answered=places["answered"].boolean(),
    )


def _level(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["rules", "facts"])
    rule = read_rule(places["rules"])
    if not isinstance(places["facts"].value, dict):
        raise places["facts"].refuse("an object of facts")
    facts = {name: _fact(places["facts"].child(name)) for name in places["facts"].value}
    try:
        levelled = levels.level(rule, facts)
    except levels.FactRefused as failure:
        place = places["facts"].child(failure.fact) if failure.fact else places["facts"]
        raise BadDocument(place.pointer, str(failure.found), failure.allowed) from None
    version = places["rules"].child("version").value
    return {"level": levelled.level, "scores": dict(levelled.scores), "rule_version": version}


def _fact(node: Node) -> Decimal | str:
    if isinstance(node.value, str):
        text = node.text()
        return node.rate() if re.fullmatch(r"-?[0-9.]+", text, re.ASCII) else text
    return Decimal(node.integer(-(10**18), 10**18))


def _limit(node: Node) -> Decimal:
    return node.rate() if isinstance(node.value, str) else Decimal(node.integer(-(10**18), 10**18))


def read_rule(node: Node) -> levels.LevelRule:
    """Read a rule table; bands and levels rise strictly, each fact is scored once."""
    places = node.object(["version", "criteria", "levels"])
    criteria: list[levels.Criterion] = []
    for place in places["criteria"].list(minimum=1, maximum=100):
        criterion = _criterion(place)
        if any(other.fact == criterion.fact for other in criteria):
            raise BadDocument(f"{place.pointer}/fact", criterion.fact, "a fact that is not scored yet")
        criteria.append(criterion)
    limits = []
    for place in places["levels"].list(minimum=1, maximum=100):
        fields = place.object(["from", "level"])
        limits.append(levels.LevelLimit(_limit(fields["from"]), fields["level"].text(maximum=40)))
    _rising(places["levels"], [limit.start for limit in limits])
    version = places["version"]
    named = version.text(maximum=40) if isinstance(version.value, str) else str(version.integer(0, _MOST))
    return levels.LevelRule(named, tuple(criteria), tuple(limits))


def _criterion(node: Node) -> levels.Criterion:
    by_value = isinstance(node.value, dict) and "values" in node.value
    places = node.object(["fact", "values" if by_value else "bands"])
    fact = places["fact"].text(maximum=60)
    if by_value:
        table = places["values"]
        if not isinstance(table.value, dict) or not table.value:
            raise table.refuse("an object of scores by text")
        return levels.Criterion(fact, values={text: _score(table.child(text)) for text in table.value})
    bands = []
    for place in places["bands"].list(minimum=1, maximum=1000):
        fields = place.object(["from", "score"])
        bands.append(levels.Band(_limit(fields["from"]), _score(fields["score"])))
    _rising(places["bands"], [band.start for band in bands])
    return levels.Criterion(fact, bands=tuple(bands))


def _score(node: Node) -> int:
    return node.integer(-_MOST, _MOST)


def _rising(node: Node, limits: Sequence[Decimal]) -> None:
    for index, (lower, limit) in enumerate(pairwise(limits), start=1):
        if limit <= lower:
            raise BadDocument(node.child(index).child("from").pointer, str(limit), f"more than {lower}")


def _coverage(inputs: Node) -> dict[str, Any]:
    places = inputs.object(["non_performing_since_on", "reference_on", "exposure", "secured", "security", "provisions"])
    since = _day(places["non_performing_since_on"])
    exposure, secured = _amount(places["exposure"]), _amount(places["secured"])
    if secured > exposure:
        raise places["secured"].refuse("at most the exposure")
    done = clocks.coverage(
        non_performing_since_on=since,
        reference_on=_day(places["reference_on"], earliest=since),
        exposure=exposure,
        secured=secured,
        security=clocks.SecurityKind(places["security"].one_of(list(clocks.SecurityKind))),
        provisions=_amount(places["provisions"]),
    )
    return {"year": done.year, "required": done.required.text, "shortfall": done.shortfall.text}


COMPUTATIONS: Final[dict[str, Callable[[Node], dict[str, Any]]]] = {
    "payment_order": _payment_order,
    "delay_interest": _delay_interest,
    "repayment_plan": _repayment_plan,
    "limitation": _limitation,
    "guarantee": _guarantee,
    "contact_gate": _contact_gate,
    "level": _level,
    "coverage": _coverage,
}
