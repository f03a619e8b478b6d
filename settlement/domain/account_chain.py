"""The chain of statements of one account of ours: each begins where the one before ended. Pure.

What a file brings again (lines that an earlier file brought) is part of the proof: opening balance plus known lines is
where the account stands, so overlapping files fit and a missing day does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from marketplace.errors import Conflict
from marketplace.money import Money
from settlement.domain.statements import LineIdentity, ParsedStatement, StatementUnproven, has_bank_id


class AccountNotOurs(Conflict):
    """The statement is of an account that nobody has registered as ours."""

    code = "account_not_ours"

    def __init__(self, number: str, currency: str) -> None:
        super().__init__(
            f"Account …{number[-4:]} in {currency or 'no currency'} is none of ours; register it under /own-accounts "
            "first. Nothing was stored."
        )


class StatementGap(Conflict):
    """The statement does not begin where the account stands: one is missing, or they come out of order."""

    code = "statement_gap"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The statement does not follow the one before: {reason} Nothing was stored.")


@dataclass(frozen=True, slots=True)
class Link:
    """Where an account stands: its balance after the last statement, and that statement's number, page and last day."""

    head: Money
    number: int | None = None
    page: int | None = None
    to_on: date | None = None


def repeated(
    statement: ParsedStatement,
    identities: Sequence[LineIdentity],
    *,
    stored: Collection[LineIdentity],
    head: Money,
    newest_on: date | None,
) -> list[bool]:
    """Say of each line of a statement whether an earlier file brought it. `newest_on`: the last day of a stored line.

    By identity, unless the balance that the statement opens at says otherwise: then only the first lines, those that
    bring it to where the account stands (`head`), came before, and what follows is new though it looks the same. So
    two equal wires of a day to which the bank gave no id stay two when they come in two statements. That is never said
    of a line with the bank's own id, nor of one of a day before the newest line of the account.
    """
    seen = [identity in stored for identity in identities]
    opening = _opening(statement)
    known = sum(line.amount.minor for line, is_seen in zip(statement.lines, seen, strict=True) if is_seen)
    if opening is None or newest_on is None or opening + known == head.minor:
        return seen
    first = _lines_up_to(head.minor - opening, statement, seen)
    if first is None:
        return seen
    rest = list(zip(statement.lines, seen, strict=True))[first:]
    if any(line.booked_on < newest_on or (is_seen and has_bank_id(line)) for line, is_seen in rest):
        return seen
    return [True] * first + [False] * len(rest)


def _opening(statement: ParsedStatement) -> int | None:
    """The balance before the first line, as said or as the closing balance implies."""
    if statement.opening is not None:
        return statement.opening.minor
    if statement.closing is None:
        return None
    return statement.closing.minor - sum(line.amount.minor for line in statement.lines)


def _lines_up_to(amount: int, statement: ParsedStatement, seen: Sequence[bool]) -> int | None:
    """How many first lines, all seen before, add up to an amount: the most that do; None when none do."""
    reached, found = 0, None
    for count, (line, is_seen) in enumerate(zip(statement.lines, seen, strict=True)):
        if reached == amount:
            found = count
        if not is_seen:
            break
        reached += line.amount.minor
    return found


def follow(link: Link, statement: ParsedStatement, *, known_minor: int, new_count: int, numbered: bool) -> Link:
    """Hold a statement against the account and return where the account stands after it.

    `known_minor`: sum of its lines that are stored already; `new_count`: how many are not. A statement that brings
    nothing new changes nothing. Raises `StatementGap`; `StatementUnproven` when it has neither a closing balance nor
    running balances, or when the closing balance is not what the account then stands at.
    """
    if not new_count and (statement.lines or statement.closing in {None, link.head}):
        return link
    if numbered:
        _check_number(link, statement)
    start = Money(link.head.minor - known_minor, link.head.currency)
    if statement.opening is not None and statement.opening != start:
        raise StatementGap(
            f"it opens at {statement.opening}, the account stood at {start}; import the statement in between first."
        )
    running = any(line.balance is not None for line in statement.lines)
    if statement.closing is None and not (running and statement.opening is not None):
        raise StatementUnproven("it carries no closing balance and no running balances to prove it by.")
    reached = Money(start.minor + sum(line.amount.minor for line in statement.lines), start.currency)
    if statement.closing is not None and statement.closing != reached:
        raise StatementUnproven(
            f"the account stood at {start.text}, {len(statement.lines)} lines bring it to {reached.text}, "
            f"the closing balance is {statement.closing.text}."
        )
    return Link(reached, statement.number, statement.page, statement.to_on)


def _check_number(link: Link, statement: ParsedStatement) -> None:
    """The bank counts without gaps: the next number, the next page of the same one, or 1 in a new year."""
    if statement.number is None:
        raise StatementGap("it has no number, and this bank numbers its statements.")
    if link.number is None:
        return
    next_page = statement.number == link.number and statement.page == (link.page or 0) + 1
    next_number = statement.number == link.number + 1
    new_year = (
        statement.number == 1
        and link.to_on is not None
        and statement.to_on is not None
        and statement.to_on.year > link.to_on.year
    )
    if not (next_page or next_number or new_year):
        raise StatementGap(f"its number is {statement.number}, the last one was {link.number}.")
