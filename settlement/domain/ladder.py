"""The matching ladder: what is a movement for? Rungs in order of what they prove. Pure.

The first three decide by themselves: a sound reference with the exact amount, a sound reference with another amount,
and a key that was given out for one payment (a unique cent tail, a virtual sub-account). Below them there are only
suggestions with a score and reasons: the amount from a known payer in time, the amount from a similar name, several
items that add up to a line or several lines that add up to an item. A person confirms; nothing is learned from a
suggestion, only from what was confirmed.
"""

import dataclasses
import enum
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from settlement.domain.combinations import MAX_AMOUNTS, MAX_PARTS, combinations_to
from settlement.domain.names import likeness, plain_account

WINDOW_DAYS: Final = 30
"""How far from the day it is due a payment of a known payer is still thought to be for it."""

SIMILAR: Final = 80
"""Likeness of names from which on it is a reason."""

MAX_SUGGESTIONS: Final = 20


class Rung(enum.StrEnum):
    """What a match rests on, strongest first."""

    REFERENCE = "reference"
    REFERENCE_OTHER_AMOUNT = "reference_other_amount"
    RECEIPT_KEY = "receipt_key"
    KNOWN_PAYER = "known_payer"
    SIMILAR_NAME = "similar_name"
    SEVERAL_ITEMS = "several_items"
    SEVERAL_LINES = "several_lines"


class Reason(enum.StrEnum):
    """Why something is suggested."""

    REFERENCE_NAMED = "reference_named"
    AMOUNT_EQUAL = "amount_equal"
    AMOUNT_DIFFERS = "amount_differs"
    CENT_TAIL = "cent_tail"
    SUB_ACCOUNT = "sub_account"
    PAYER_KNOWN = "payer_known"
    NAME_SIMILAR = "name_similar"
    IN_TIME = "in_time"
    ONLY_SOLUTION = "only_solution"
    SEVERAL_SOLUTIONS = "several_solutions"
    MORE_THAN_SHOWN = "more_than_shown"
    TOO_MANY_ITEMS = "too_many_items"


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of our account, or what is open of it. `amount_minor` above zero; `incoming` says which way it goes.

    `account`: ours, as compared.
    """

    line: str
    amount_minor: int
    currency: str
    incoming: bool
    booked_on: date
    references: tuple[str, ...] = ()
    sub_account: str = ""
    payer_name: str = ""
    payer_account: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class CentTail:
    """An exact amount that was asked for on one of our accounts (as compared), until a day of the bank's booking."""

    account: str
    amount_minor: int
    until: date


@dataclass(frozen=True, slots=True)
class OpenItem:
    """Something that waits for money. `accounts` are the payer's own, as compared (`names.plain_account`).

    `tails` are the exact amounts that were asked for with a unique cent tail.
    """

    reference: str
    open_minor: int
    currency: str
    incoming: bool
    names: tuple[str, ...] = ()
    accounts: frozenset[str] = frozenset()
    due_on: date | None = None
    tails: tuple[CentTail, ...] = ()
    sub_account: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a line for so much of what a reference names."""

    line: str
    reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a movement may be for. `score` 0 to 100 orders suggestions; it is no probability."""

    rung: Rung
    parts: tuple[Part, ...]
    score: int
    reasons: tuple[Reason, ...]


@dataclass(slots=True)
class OpenItems:
    """Open items under the keys that the rungs ask for; built once for any number of movements."""

    items: Sequence[OpenItem]
    by_reference: dict[str, OpenItem] = field(default_factory=dict)
    _by_tail: dict[tuple[bool, str, str, int], list[tuple[OpenItem, date]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _by_sub_account: dict[tuple[bool, str, str], list[OpenItem]] = field(default_factory=lambda: defaultdict(list))
    _by_amount: dict[tuple[bool, str, int], list[OpenItem]] = field(default_factory=lambda: defaultdict(list))
    _by_account: dict[tuple[bool, str, str], list[OpenItem]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for item in self.items:
            side = (item.incoming, item.currency)
            self.by_reference[item.reference] = item
            for tail in item.tails:
                self._by_tail[*side, tail.account, tail.amount_minor].append((item, tail.until))
            if item.sub_account:
                self._by_sub_account[*side, plain_account(item.sub_account)].append(item)
            self._by_amount[*side, item.open_minor].append(item)
            for account in item.accounts:
                self._by_account[*side, account].append(item)

    def of_key(self, movement: Movement) -> tuple[list[OpenItem], Reason]:
        """Items that were given the movement's sub-account, else its exact amount, as a key."""
        side = (movement.incoming, movement.currency)
        number = plain_account(movement.sub_account)
        found = self._by_sub_account.get((*side, number), []) if number else []
        if found:
            return found, Reason.SUB_ACCOUNT
        tailed = self._by_tail.get((*side, movement.account, movement.amount_minor), [])
        return [item for item, until in tailed if movement.booked_on <= until], Reason.CENT_TAIL

    def of_amount(self, movement: Movement) -> list[OpenItem]:
        """Items of which exactly the movement's amount is open."""
        return self._by_amount.get((movement.incoming, movement.currency, movement.amount_minor), [])

    def related(self, movement: Movement) -> list[OpenItem]:
        """Items whose payer is known to be the movement's, else those whose payer has a similar name."""
        account = plain_account(movement.payer_account)
        found = self._by_account.get((movement.incoming, movement.currency, account), []) if account else []
        if found or not movement.payer_name:
            return found
        return [
            item
            for item in self.items
            if (item.incoming, item.currency) == (movement.incoming, movement.currency)
            and _likeness(movement, item) >= SIMILAR
        ]


def by_key(movement: Movement, items: OpenItems) -> Suggestion | None:
    """The third rung: the one item whose unique cent tail or sub-account the movement carries, None when not one."""
    found, reason = items.of_key(movement)
    if len(found) != 1:
        return None
    amount = _amount_reason(movement, found[0])
    return Suggestion(Rung.RECEIPT_KEY, (_part(movement, found[0]),), 90, (reason, amount))


def suggest(movement: Movement, items: OpenItems, others: Sequence[Movement] = ()) -> list[Suggestion]:
    """Climb every rung for a movement: suggestions, best first, one for each set of parts, at most twenty.

    `others` are further open movements, for the last rung. Items of another currency or direction never count.
    """
    found = [
        *_by_references(movement, items),
        *filter(None, [by_key(movement, items)]),
        *_by_payer(movement, items),
        *_by_name(movement, items),
        *_several_items(movement, items),
        *_several_lines(movement, items, others),
    ]
    best: dict[tuple[Part, ...], Suggestion] = {}
    for suggestion in found:
        known = best.get(suggestion.parts)
        if known is None or suggestion.score > known.score:
            best[suggestion.parts] = suggestion
    ordered = sorted(best.values(), key=lambda one: (-one.score, [part.reference for part in one.parts]))
    shown = ordered[:MAX_SUGGESTIONS]
    if len(ordered) > MAX_SUGGESTIONS:
        shown[-1] = dataclasses.replace(shown[-1], reasons=tuple(dict.fromkeys((*shown[-1].reasons, _MORE))))
    return shown


def _fits(movement: Movement, item: OpenItem) -> bool:
    return (movement.incoming, movement.currency) == (item.incoming, item.currency) and item.open_minor > 0


def _part(movement: Movement, item: OpenItem) -> Part:
    return Part(movement.line, item.reference, min(movement.amount_minor, item.open_minor))


def _amount_reason(movement: Movement, item: OpenItem) -> Reason:
    return Reason.AMOUNT_EQUAL if movement.amount_minor == item.open_minor else Reason.AMOUNT_DIFFERS


def _likeness(movement: Movement, item: OpenItem) -> int:
    return max((likeness(movement.payer_name, name) for name in item.names), default=0)


def _by_references(movement: Movement, items: OpenItems) -> Iterable[Suggestion]:
    for reference in movement.references:
        item = items.by_reference.get(reference)
        if item is not None and _fits(movement, item):
            equal = movement.amount_minor == item.open_minor
            rung, score = (Rung.REFERENCE, 100) if equal else (Rung.REFERENCE_OTHER_AMOUNT, 95)
            reasons = (Reason.REFERENCE_NAMED, _amount_reason(movement, item))
            yield Suggestion(rung, (_part(movement, item),), score, reasons)


def _by_payer(movement: Movement, items: OpenItems) -> Iterable[Suggestion]:
    account = plain_account(movement.payer_account)
    for item in items.of_amount(movement):
        if account and account in item.accounts:
            in_time = item.due_on is None or abs((movement.booked_on - item.due_on).days) <= WINDOW_DAYS
            reasons = (Reason.AMOUNT_EQUAL, Reason.PAYER_KNOWN, *((Reason.IN_TIME,) if in_time else ()))
            yield Suggestion(Rung.KNOWN_PAYER, (_part(movement, item),), 80 if in_time else 65, reasons)


def _by_name(movement: Movement, items: OpenItems) -> Iterable[Suggestion]:
    if not movement.payer_name:
        return
    for item in items.of_amount(movement):
        alike = _likeness(movement, item)
        if alike >= SIMILAR:
            reasons = (Reason.AMOUNT_EQUAL, Reason.NAME_SIMILAR)
            yield Suggestion(Rung.SIMILAR_NAME, (_part(movement, item),), alike - 25, reasons)


def _several_items(movement: Movement, items: OpenItems) -> Iterable[Suggestion]:
    """One line for two to five items of its payer; with more than forty of them nothing can be called unique."""
    related = [item for item in items.related(movement) if 0 < item.open_minor < movement.amount_minor]
    if len(related) > MAX_AMOUNTS:
        yield Suggestion(Rung.SEVERAL_ITEMS, (), 0, (Reason.TOO_MANY_ITEMS,))
        return
    found = combinations_to(movement.amount_minor, [item.open_minor for item in related])
    unique = found.complete and len(found.solutions) == 1
    for solution in found.solutions:
        parts = tuple(Part(movement.line, related[at].reference, related[at].open_minor) for at in solution)
        yield _combination(Rung.SEVERAL_ITEMS, parts, unique=unique, complete=found.complete)


def _several_lines(movement: Movement, items: OpenItems, others: Sequence[Movement]) -> Iterable[Suggestion]:
    """Two to five lines of one payer for one item of that payer."""
    mine = [other for other in others if other.line != movement.line and _same_payer(movement, other)]
    targets = [item for item in items.related(movement) if item.open_minor > movement.amount_minor]
    if not mine or not targets:
        return
    if len(mine) > MAX_AMOUNTS or len(targets) > MAX_AMOUNTS:
        yield Suggestion(Rung.SEVERAL_LINES, (), 0, (Reason.TOO_MANY_ITEMS,))
        return
    amounts = [other.amount_minor for other in mine]
    solutions: list[tuple[Part, ...]] = []
    complete = True
    for item in targets:
        rest = item.open_minor - movement.amount_minor
        found = combinations_to(rest, amounts, fewest=1, most=MAX_PARTS - 1)
        complete = complete and found.complete
        for solution in found.solutions:
            chosen = [movement, *(mine[at] for at in solution)]
            solutions.append(tuple(Part(one.line, item.reference, one.amount_minor) for one in chosen))
    for parts in solutions:
        yield _combination(Rung.SEVERAL_LINES, parts, unique=complete and len(solutions) == 1, complete=complete)


def _same_payer(one: Movement, other: Movement) -> bool:
    if (one.incoming, one.currency) != (other.incoming, other.currency):
        return False
    account = plain_account(one.payer_account)
    if account:
        return account == plain_account(other.payer_account)
    return likeness(one.payer_name, other.payer_name) >= SIMILAR


_MORE: Final = Reason.MORE_THAN_SHOWN
"""Stands on a suggestion beside which there are more than are listed."""


def _combination(rung: Rung, parts: tuple[Part, ...], *, unique: bool, complete: bool) -> Suggestion:
    reason = Reason.ONLY_SOLUTION if unique else Reason.SEVERAL_SOLUTIONS
    reasons = (Reason.AMOUNT_EQUAL, reason, *(() if complete else (_MORE,)))
    return Suggestion(rung, parts, 60 if unique else 30, reasons)
