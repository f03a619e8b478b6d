"""The contact gate: may this person be contacted now, in this way? Asked before the act, its answer stored.

A policy is data: chosen per seller and jurisdiction, any rule of it may be switched off. Sources of the presets: China
Banking Association guideline (January 2026), Reg F 1006.14 (United States); see `rules.md`.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from marketplace.clock import local_date

_WEEK: Final = timedelta(days=7)


def is_zone(name: str) -> bool:
    """True for the name of a time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True


class Relation(enum.StrEnum):
    """Who would be contacted."""

    OBLIGOR = "obligor"
    THIRD_PERSON = "third_person"
    STRANGER = "stranger"


class Channel(enum.StrEnum):
    """How."""

    CALL = "call"
    SMS = "sms"
    EMAIL = "email"
    WECHAT = "wechat"
    VISIT = "visit"
    VIDEO = "video"
    LETTER = "letter"


class ThirdPersons(enum.StrEnum):
    """When third persons may be contacted."""

    WHEN_LOST = "when_lost"
    NEVER = "never"


class ContactRule(enum.StrEnum):
    """The rules, in the order in which they are asked."""

    STRANGER = "stranger"
    THIRD_PERSON = "third_person"
    QUIET_HOURS = "quiet_hours"
    ATTEMPTS_PER_NUMBER = "attempts_per_number"
    CALLS_IN_SEVEN_DAYS = "calls_in_seven_days"
    AFTER_CONVERSATION = "after_conversation"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of rest in the obligor's zone, `start` inclusive, `end` exclusive; they may span midnight."""

    start: time
    end: time

    def holds(self, at: time) -> bool:
        """True within the hours."""
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """Limits on contacts; None switches a rule off."""

    quiet: Quiet | None
    unanswered_per_number_per_day: int | None
    calls_in_seven_days: int | None
    days_after_conversation: int | None
    third_persons: ThirdPersons


@dataclass(frozen=True, slots=True)
class Person:
    """The obligor: zone of residence, whether anyone can reach them, whether they agreed to contacts at any hour."""

    zone: str
    reachable: bool
    consent: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """An attempt that was made."""

    at: datetime
    channel: Channel
    number: str | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What someone is about to do."""

    person: Person
    relation: Relation
    channel: Channel
    number: str | None
    at: datetime
    log: Sequence[Contact]

    def calls(self, days: int) -> list[Contact]:
        """Calls before now in so many local days, today included."""
        today = local_date(self.at, self.person.zone)
        first = today - timedelta(days=days - 1)
        return [
            entry
            for entry in self.log
            if entry.channel is Channel.CALL and entry.at <= self.at and local_date(entry.at, self.person.zone) >= first
        ]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be done; if not, the first rule against it."""

    allowed: bool
    rule: ContactRule | None
    reason: str


def contact_gate(policy: ContactPolicy, question: Question) -> Decision:
    """Ask the rules in their order; quiet hours hold for every channel, the counting rules look at calls only."""
    for rule, stands_against in _RULES.items():
        reason = stands_against(policy, question)
        if reason is not None:
            return Decision(allowed=False, rule=rule, reason=reason)
    return Decision(allowed=True, rule=None, reason="No rule stands against it.")


def _stranger(_: ContactPolicy, question: Question) -> str | None:
    return "Strangers to the debt are never contacted." if question.relation is Relation.STRANGER else None


def _third_person(policy: ContactPolicy, question: Question) -> str | None:
    if question.relation is not Relation.THIRD_PERSON:
        return None
    if policy.third_persons is ThirdPersons.NEVER:
        return "Third persons are never contacted under this policy."
    return "Third persons may be contacted only when the obligor is lost." if question.person.reachable else None


def _quiet_hours(policy: ContactPolicy, question: Question) -> str | None:
    if policy.quiet is None or question.person.consent:
        return None
    local = question.at.astimezone(ZoneInfo(question.person.zone)).time()
    if not policy.quiet.holds(local):
        return None
    return f"Quiet from {policy.quiet.start:%H:%M} to {policy.quiet.end:%H:%M}; it is {local:%H:%M} where they live."


def _attempts_per_number(policy: ContactPolicy, question: Question) -> str | None:
    limit = policy.unanswered_per_number_per_day
    if limit is None or question.channel is not Channel.CALL:
        return None
    made = sum(not entry.answered and entry.number == question.number for entry in question.calls(days=1))
    return f"{made} unanswered calls to this number today; at most {limit}." if made >= limit else None


def _calls_in_seven_days(policy: ContactPolicy, question: Question) -> str | None:
    limit = policy.calls_in_seven_days
    if limit is None or question.channel is not Channel.CALL:
        return None
    made = len(question.calls(days=_WEEK.days))
    return f"{made} calls in seven days; at most {limit}." if made >= limit else None


def _after_conversation(policy: ContactPolicy, question: Question) -> str | None:
    days = policy.days_after_conversation
    if not days or question.channel is not Channel.CALL:
        return None
    if any(entry.answered for entry in question.calls(days=days)):
        return f"There was a conversation within {days} days."
    return None


_RULES: Final[dict[ContactRule, Callable[[ContactPolicy, Question], str | None]]] = {
    ContactRule.STRANGER: _stranger,
    ContactRule.THIRD_PERSON: _third_person,
    ContactRule.QUIET_HOURS: _quiet_hours,
    ContactRule.ATTEMPTS_PER_NUMBER: _attempts_per_number,
    ContactRule.CALLS_IN_SEVEN_DAYS: _calls_in_seven_days,
    ContactRule.AFTER_CONVERSATION: _after_conversation,
}

CHINA: Final = ContactPolicy(
    quiet=Quiet(time(22), time(8)),
    unanswered_per_number_per_day=6,
    calls_in_seven_days=None,
    days_after_conversation=None,
    third_persons=ThirdPersons.WHEN_LOST,
)
"""Guideline of the China Banking Association, January 2026."""
UNITED_STATES: Final = ContactPolicy(
    quiet=Quiet(time(21), time(8)),
    unanswered_per_number_per_day=None,
    calls_in_seven_days=7,
    days_after_conversation=7,
    third_persons=ThirdPersons.NEVER,
)
"""Reg F, 12 CFR 1006.6 and 1006.14."""


class PolicyPreset(enum.StrEnum):
    """Policies that a seller can choose."""

    CHINA_2026 = "china_2026"
    UNITED_STATES_REG_F = "united_states_reg_f"


POLICIES: Final = {PolicyPreset.CHINA_2026: CHINA, PolicyPreset.UNITED_STATES_REG_F: UNITED_STATES}


def preset_of_country(country: str) -> PolicyPreset:
    """Return the policy of a seller by its country (ISO 3166); elsewhere the Chinese one holds until it has its own."""
    return PolicyPreset.UNITED_STATES_REG_F if country == "US" else PolicyPreset.CHINA_2026
