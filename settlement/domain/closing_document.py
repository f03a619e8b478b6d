"""A closing as a document: computed, previewed and proven by the same reading, with or without a database.

`close_document` answers `python -m settlement close FILE`; `prove` wraps inputs, answer and hash into a proof package;
`verify` (`python -m settlement verify FILE`) computes a proof package anew and gives it back byte by byte, or says
where it differs. The form is described in `docs/algorithms/settlement.md`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from collection.domain.balances import BUCKETS, Order, by_sets, read_order
from marketplace.documents import BadDocument, Node
from marketplace.errors import Failure
from marketplace.money import Money
from settlement.domain import closing, funds_flow
from settlement.domain.closing import (
    Cases,
    Claim,
    Closing,
    CollectionsRule,
    Distribution,
    Terms,
)
from settlement.domain.distribution import InstalmentsAbovePrice, Stage, in_parts
from settlement.domain.funds_flow import Fixed, Percent
from settlement.domain.instalments import CapsBelowTotal
from settlement.domain.split import ROUNDINGS, read_cases, read_deductions, read_percent

PROOF: Final = "closing-proof-1"
MAX_CLAIMS: Final = 100_000
MAX_INSTALMENTS: Final = 1000
MAX_WARRANTY_DAYS: Final = 3650

_TERMS: Final = (
    "deductions", "senior_claims", "liens", "holdback", "capped", "order", "warranty_days", "distribution",
    "collections",
)  # fmt: skip


def close_document(document: Node) -> dict[str, Any]:
    """Answer one closing document; raise `BadDocument` with the pointer of what is wrong."""
    members = document.object(
        required=("currency", "price", "cases"), optional=("deposit", "deductions", "terms", "instalments")
    )
    currency = members["currency"].currency()
    price = members["price"].amount(currency)
    deposit = members["deposit"].amount(currency) if members["deposit"].given else Money.zero(currency)
    given = members["deductions"]
    deductions = read_deductions(given, currency, inside=True) if given.given else []
    terms = read_terms(members["terms"], currency, taken={one.name for one in deductions})
    cases, owed = _read_cases(members["cases"], currency, capped=terms.capped)
    _check_liens(members["terms"], terms, cases.keys)
    amounts = _read_instalments(members["instalments"], currency, terms)
    try:
        closed = closing.close(price=price, deposit=deposit, deductions=deductions, terms=terms, cases=cases)
        parts = None if amounts is None else in_parts(closed, cases.keys, amounts)
    except InstalmentsAbovePrice as failure:
        raise BadDocument(members["instalments"].pointer, failure.detail, "at most the price") from None
    except funds_flow.DeductionAboveRest as failure:
        node = _deduction(members, len(deductions), failure.position)
        raise BadDocument(node.pointer, failure.values["deduction"], f"at most {failure.values['rest']}") from None
    except funds_flow.NoWeights:
        raise BadDocument(members["cases"].pointer, "only zero weights", "a weight above zero") from None
    except CapsBelowTotal as failure:
        raise BadDocument(members["cases"].pointer, failure.detail, "ceilings that hold the net price") from None
    except closing.HoldbackAboveProceeds as failure:
        raise BadDocument(members["terms"].child("holdback").pointer, failure.detail, "at most the proceeds") from None
    answer = answer_of(closed, cases.keys, owed, terms.order)
    return answer if parts is None else {**answer, "instalments": _instalments_of(closed, cases.keys, parts)}


def _read_instalments(node: Node, currency: str, terms: Terms) -> list[int] | None:
    """Return what came in so far, each above zero; None when nothing is said of it."""
    if not node.given:
        return None
    if terms.distribution is not Distribution.PER_INSTALMENT:
        raise node.refuse("instalments only where the terms say per_instalment")
    amounts = []
    for one in node.list(maximum=MAX_INSTALMENTS):
        amounts.append(one.amount(currency).minor)
        if not amounts[-1]:
            raise one.refuse("an amount above zero")
    return amounts


def _instalments_of(closed: Closing, keys: Sequence[str], parts: Sequence[Stage]) -> list[dict[str, Any]]:
    """Return what each instalment brought, in the words of the closing; names are those of the closing too."""
    currency = closed.flow.gross.currency

    def text(minor: int) -> str:
        return Money(minor, currency).text

    return [
        {
            "received": text(part.received),
            "deductions": [
                _taken(one.name, one.payee, text(minor))
                for one, minor in zip(closed.flow.deductions, part.taken, strict=True)
                if minor
            ],
            "net": text(sum(part.net)),
            "liens": [
                {"case": one.claim.case, **_taken(one.claim.name, one.claim.payee, text(minor))}
                for one, minor in zip(closed.liens, part.liens, strict=True)
                if minor
            ],
            "holdback": text(part.held),
            "first": text(sum(part.first)),
            "cases": [
                {"case": key, "net": text(net), "first": text(first)}
                for key, net, first in zip(keys, part.net, part.first, strict=True)
            ],
        }
        for part in parts
    ]


def _deduction(members: Mapping[str, Node], count: int, position: int) -> Node:
    if position < count:
        return members["deductions"].child(position)
    return members["terms"].child("deductions").child(position - count)


def answer_of(
    closed: Closing, keys: Sequence[str], owed: Sequence[Mapping[str, int] | None], order: Order
) -> dict[str, Any]:
    """Return a closing in the words of its document; a case whose claim is known shows what is paid of it."""
    flow, currency = closed.flow, closed.flow.gross.currency

    def text(minor: int) -> str:
        return Money(minor, currency).text

    senior = len(flow.deductions) - len(closed.senior)
    rows = []
    for place, key in enumerate(keys):
        row: dict[str, Any] = {
            "case": key,
            "price": text(closed.price[place]),
            "net": text(closed.net[place]),
            "proceeds": text(closed.proceeds[place]),
            "first": text(closed.first[place]),
        }
        if (claim := owed[place]) is not None:
            parts = by_sets(closed.proceeds[place], claim, order)
            row["paid"] = {bucket: text(minor) for bucket, minor in parts.items()}
        rows.append(row)
    return {
        "gross": flow.gross.text,
        "deposit_applied": flow.deposit_applied.text,
        "balance_due": flow.balance_due.text,
        "deductions": [_taken(one.name, one.payee, one.amount.text) for one in flow.deductions[:senior]],
        "senior_claims": [_paid(one, currency) for one in closed.senior],
        "net": flow.net.text,
        "liens": [{"case": one.claim.case, **_paid(one, currency)} for one in closed.liens],
        "proceeds": text(sum(closed.proceeds)),
        "holdback": closed.holdback.text,
        "first": text(sum(closed.first)),
        "cases": rows,
        "engine": f"{closing.ENGINE} {funds_flow.ENGINE}",
    }


def _taken(name: str, payee: str, amount: str) -> dict[str, str]:
    return {"name": name, "payee": payee, "amount": amount}


def _paid(one: closing.Paid, currency: str) -> dict[str, str]:
    paid = Money(one.minor, currency)
    return {**_taken(one.claim.name, one.claim.payee, paid.text), "open": (one.claim.amount - paid).text}


def read_terms(node: Node, currency: str, *, taken: set[str] | None = None) -> Terms:
    """Read the terms of a closing; names of deductions and claims are distinct, also from those in `taken`."""
    if not node.given:
        return Terms()
    members = node.object(required=(), optional=_TERMS)
    names = set(taken or ())
    rows = members["deductions"]
    deductions = read_deductions(rows, currency, inside=True) if rows.given else []
    for place, one in enumerate(deductions):
        _once(rows.child(place), one.name, names)
    claims = [
        claim
        for kind in ("senior_claims", "liens")
        for claim in _read_claims(members[kind], currency, names, with_case=kind == "liens")
    ]
    return Terms(
        deductions=tuple(deductions),
        claims=tuple(claims),
        holdback=_read_holdback(members["holdback"], currency),
        capped=members["capped"].given and members["capped"].boolean(),
        order=read_order(members["order"]),
        warranty_days=members["warranty_days"].integer(0, MAX_WARRANTY_DAYS) if members["warranty_days"].given else 0,
        distribution=_read_distribution(members["distribution"]),
        collections=_read_collections(members["collections"], members["distribution"]),
    )


def _read_distribution(node: Node) -> Distribution:
    return Distribution(node.one_of(tuple(Distribution))) if node.given else Distribution.ON_COMPLETION


def _read_collections(node: Node, distribution: Node) -> CollectionsRule:
    """Only a price that is distributed as a whole has a balance that collections are set off against."""
    if not node.given:
        return CollectionsRule.PAID_OVER
    rule = CollectionsRule(node.one_of(tuple(CollectionsRule)))
    if rule is CollectionsRule.NET_AGAINST_BALANCE and _read_distribution(distribution) is Distribution.PER_INSTALMENT:
        raise node.refuse("paid_over, where the price is distributed per_instalment")
    return rule


def _once(node: Node, name: str, names: set[str]) -> None:
    if name in names:
        raise node.child("name").refuse("each name once")
    names.add(name)


def _read_claims(node: Node, currency: str, names: set[str], *, with_case: bool) -> list[Claim]:
    claims = []
    for row in node.list(maximum=MAX_CLAIMS) if node.given else []:
        required = ("name", "payee", "rank", "amount", *(["case"] if with_case else []))
        members = row.object(required=required, optional=("cap", "account"))
        _once(row, members["name"].text(), names)
        claims.append(
            Claim(
                name=members["name"].text(),
                payee=members["payee"].text(),
                rank=members["rank"].integer(1, 1000),
                amount=members["amount"].amount(currency),
                cap=members["cap"].amount(currency) if members["cap"].given else None,
                case=members["case"].text() if with_case else None,
                account=members["account"].text(maximum=60) if members["account"].given else "",
            )
        )
    return claims


def _read_holdback(node: Node, currency: str) -> Percent | Fixed | None:
    if not node.given:
        return None
    if isinstance(node.value, dict) and "amount" in node.value:
        return Fixed(node.object(required=("amount",))["amount"].amount(currency))
    members = node.object(required=("percent",), optional=("rounding",))
    rounding = members["rounding"].one_of(tuple(ROUNDINGS)) if members["rounding"].given else "half_up"
    return Percent(read_percent(members["percent"]), ROUNDINGS[rounding])


def _read_cases(node: Node, currency: str, *, capped: bool) -> tuple[Cases, list[dict[str, int] | None]]:
    rows = node.list(minimum=1)
    owed = [_read_owed(row, currency, required=capped) for row in rows]
    weighed = read_cases(node, optional=("owed",))
    caps = [None if claim is None or not capped else sum(claim.values()) for claim in owed]
    return Cases(weighed.keys, weighed.weights, caps), owed


def _read_owed(row: Node, currency: str, *, required: bool) -> dict[str, int] | None:
    members = row.object(required=("case", "weight", *(["owed"] if required else [])), optional=("owed",))
    if not members["owed"].given:
        return None
    return {name: member.amount(currency).minor for name, member in members["owed"].object(required=BUCKETS).items()}


def _check_liens(node: Node, terms: Terms, keys: Sequence[str]) -> None:
    known = set(keys)
    liens = [claim for claim in terms.claims if claim.case is not None]
    for place, claim in enumerate(liens):
        if claim.case not in known:
            raise node.child("liens").child(place).child("case").refuse("the key of one of the cases")


def prove(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the proof package of a closing: inputs, answer, and the SHA-256 of both as JSON with sorted keys."""
    result = close_document(Node(inputs, "/inputs"))
    hashed = json.dumps({"inputs": inputs, "result": result}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(hashed.encode()).hexdigest()
    return {"format": PROOF, "inputs": inputs, "result": result, "hash": f"sha256:{digest}"}


def verify(document: Node) -> dict[str, Any]:
    """Compute a proof package anew and return it, equal in every byte; raise `BadDocument` where it differs."""
    members = document.object(required=("format", "inputs", "result", "hash"))
    members["format"].one_of((PROOF,))
    try:
        proof = prove(members["inputs"].value)
    except BadDocument:
        raise
    except Failure as failure:
        raise members["inputs"].refuse(failure.detail) from None
    _same(members["result"], proof["result"])
    if members["hash"].value != proof["hash"]:
        raise members["hash"].refuse(proof["hash"])
    return proof


def _same(node: Node, expected: Any) -> None:
    """Refuse the first place at which what is given is not what was computed."""
    if isinstance(expected, dict):
        for name, member in node.object(required=expected).items():
            _same(member, expected[name])
    elif isinstance(expected, list):
        for place, member in enumerate(node.list(minimum=len(expected), maximum=len(expected))):
            _same(member, expected[place])
    elif node.value != expected:
        raise node.refuse(str(expected))
