"""Levels: the seller's own versioned rule, applied to all its open cases; a row for each change, the latest holds."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Uuid, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session

from collection.domain.computations import read_rule
from collection.domain.levels import DEFAULT_RULE, Levelled, LevelRule, level
from collection.models import CaseLevel, LevelRuleVersion
from marketplace import audit, db, jobs
from marketplace.actor import Actor
from marketplace.cases import service as cases
from marketplace.documents import Node
from marketplace.errors import Conflict, Invalid
from marketplace.jobs import Job, Progress
from marketplace.money import Money

CLASSIFY_JOB: Final = "collection.classify"
PART: Final = 5_000
"""Cases that are read and classified at a time."""

FACTS: Final = ("days_past_due", "exposure", "principal", "customer_type", "secured", "litigation", "written_off")
"""What a rule may score of a case; amounts in major units."""


class RuleVersionTaken(Conflict):
    """This version stands already; a change takes a new one."""

    code = "rule_version_taken"

    def __init__(self) -> None:
        super().__init__("A rule of this version stands already and is never changed; name a new version.")


class UnknownFacts(Invalid):
    """The rule scores something that is not known of a case."""

    code = "unknown_facts"

    def __init__(self, unknown: Sequence[str]) -> None:
        super().__init__(
            f"Not known of a case: {', '.join(unknown)}; known: {', '.join(FACTS)}.",
            errors=[{"pointer": "/criteria", "found": fact, "allowed": ", ".join(FACTS)} for fact in unknown],
        )


db.violation("uq_level_rules_organisation_id", RuleVersionTaken)


@dataclass(frozen=True, slots=True)
class LevelShown:
    """The outcome of a classification: how many cases were looked at, how many have a new level."""

    rule_version: str
    cases: int
    changed: int
    counts: Mapping[str, int]


def save_level_rule(session: Session, *, rules: dict[str, Any], actor: Actor, at: datetime) -> LevelRuleVersion:
    """Keep a new version of the seller's rule; raise `BadDocument`, `UnknownFacts`, `RuleVersionTaken`."""
    rule = read_rule(Node(rules))
    unknown = [criterion.fact for criterion in rule.criteria if criterion.fact not in FACTS]
    if unknown:
        raise UnknownFacts(unknown)
    taken = select(LevelRuleVersion.id).where(
        LevelRuleVersion.organisation_id == actor.organisation_id, LevelRuleVersion.version == rule.version
    )
    if session.scalar(taken):
        raise RuleVersionTaken
    row = LevelRuleVersion(organisation_id=actor.organisation_id, version=rule.version, rules=rules, created_at=at)
    session.add(row)
    session.flush()
    audit.record(session, actor=actor, at=at, subject=row, verb="save_level_rule", after={"version": rule.version})
    return row


def level_rules(session: Session, *, cursor: str | None, limit: int, actor: Actor) -> db.Page[LevelRuleVersion]:
    """Versions of the actor's rules, newest first."""
    query = select(LevelRuleVersion)
    if not actor.sees_everything:
        query = query.where(LevelRuleVersion.organisation_id == actor.organisation_id)
    return db.page(session, query, key_column=LevelRuleVersion.id, cursor=cursor, limit=limit)


def _rule_in_force(session: Session, organisation_id: uuid.UUID) -> LevelRule:
    query = select(LevelRuleVersion).where(LevelRuleVersion.organisation_id == organisation_id)
    row = session.scalars(query.order_by(LevelRuleVersion.id.desc()).limit(1)).first()
    return DEFAULT_RULE if row is None else read_rule(Node(row.rules))


def classify_cases(session: Session, *, actor: Actor, at: datetime, progress: Progress | None = None) -> LevelShown:
    """Give every open case of the actor's organisation its level by the rule in force; write only what changed.

    A part of the cases at a time, so memory does not grow with them; `progress` counts them. Raises `FactRefused` when
    the rule cannot score one of the cases.
    """
    rule = _rule_in_force(session, actor.organisation_id)
    counts = dict.fromkeys((limit.level for limit in rule.levels), 0)
    total = cases.count_open(session, organisation_id=actor.organisation_id) if progress is not None else 0
    seen = changed = 0
    after: uuid.UUID | None = None
    while part := cases.open_cases(session, organisation_id=actor.organisation_id, after=after, limit=PART):
        rows = _rows(session, part, rule, counts, at)
        if rows:
            session.execute(insert(CaseLevel), rows)
        seen, changed, after = seen + len(part), changed + len(rows), part[-1].id
        if progress is not None:
            progress(seen, max(seen, total), "classified")
    return LevelShown(rule.version, seen, changed, counts)


def ask_classify(session: Session, *, limit: int, actor: Actor, at: datetime) -> LevelShown | Job:
    """Classify up to `limit` open cases at once, or ask for a job that does; while one runs, it is the answer again."""
    mine = actor.organisation_id
    if cases.count_open(session, organisation_id=mine, at_most=limit + 1) <= limit:
        return classify_cases(session, actor=actor, at=at)
    waiting = jobs.under_way(session, name=CLASSIFY_JOB, organisation_id=mine)
    if waiting is not None:
        return waiting
    return jobs.enqueue(session, name=CLASSIFY_JOB, arguments={"actor": jobs.plain_actor(actor)}, actor=actor, at=at)


def classify(session: Session, arguments: dict[str, Any], progress: Progress, at: datetime) -> dict[str, Any]:
    """The job: as `classify_cases`; the result is what the route answers for few cases."""
    shown = classify_cases(session, actor=jobs.actor_of(arguments["actor"]), at=at, progress=progress)
    return {
        "rule_version": shown.rule_version,
        "cases": shown.cases,
        "changed": shown.changed,
        "counts": dict(shown.counts),
    }


def _rows(
    session: Session, part: Sequence[Any], rule: LevelRule, counts: dict[str, int], at: datetime
) -> list[dict[str, Any]]:
    """Count the levels of some cases and return a row for each whose level is another than it was."""
    held = _held(session, [case.id for case in part])
    rows = []
    for case in part:
        facts = _facts(case, rule)
        levelled = level(rule, facts)
        counts[levelled.level] += 1
        if held.get(case.id) != (levelled.level, levelled.rule_version):
            rows.append(_row(case.id, facts, levelled, at))
    return rows


def _held(session: Session, case_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    latest = (
        select(CaseLevel.case_id, CaseLevel.level, CaseLevel.rule_version)
        .where(CaseLevel.case_id == func.any(literal(list(case_ids), ARRAY(Uuid()))))
        .order_by(CaseLevel.case_id, CaseLevel.id.desc())
        .ext(distinct_on(CaseLevel.case_id))
    )
    return {row.case_id: (row.level, row.rule_version) for row in session.execute(latest)}


def _facts(case: Any, rule: LevelRule) -> dict[str, Decimal | str]:
    known: dict[str, Decimal | str] = {
        "days_past_due": Decimal(case.days_past_due),
        "exposure": Money(case.principal_minor + case.interest_minor, case.currency).to_decimal(),
        "principal": Money(case.principal_minor, case.currency).to_decimal(),
        "customer_type": case.customer_type.value,
        "secured": "yes" if case.security.value in {"mortgaged", "pledged"} else "no",
        "litigation": case.litigation.value,
        "written_off": "yes" if case.written_off else "no",
    }
    return {criterion.fact: known[criterion.fact] for criterion in rule.criteria}


def _row(case_id: uuid.UUID, facts: Mapping[str, Decimal | str], levelled: Levelled, at: datetime) -> dict[str, Any]:
    return {
        "id": db.new_id(),
        "case_id": case_id,
        "level": levelled.level,
        "rule_version": levelled.rule_version,
        "facts": {name: f"{fact:f}" if isinstance(fact, Decimal) else fact for name, fact in facts.items()},
        "scores": dict(levelled.scores),
        "at": at,
    }


def case_levels(session: Session, case_id: uuid.UUID, *, actor: Actor) -> Sequence[CaseLevel]:
    """Return the levels a case has had, the present one first; raise `NotFound`."""
    cases.require_case(session, case_id, actor=actor)
    return session.scalars(
        select(CaseLevel).where(CaseLevel.case_id == case_id).order_by(CaseLevel.id.desc()).limit(200)
    ).all()
