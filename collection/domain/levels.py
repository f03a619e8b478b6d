"""The level of a case by a seller's own, versioned rule: facts score by bands or values, the sum gives the level."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from marketplace.errors import Invalid


class FactRefused(Invalid):
    """A fact is missing, not known to the rule, or below its lowest band."""

    code = "fact_refused"

    def __init__(self, fact: str, found: object, allowed: str) -> None:
        super().__init__(f"The fact {fact!r} is {found}; allowed: {allowed}.", fact=fact, allowed=[allowed])
        self.fact = fact
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Band:
    """From this value on (inclusive) the fact scores so much."""

    start: Decimal
    score: int


@dataclass(frozen=True, slots=True)
class Criterion:
    """How one fact scores: by rising bands of a number, or by its text."""

    fact: str
    bands: Sequence[Band] = ()
    values: Mapping[str, int] | None = None

    def score(self, fact: Decimal | str) -> int:
        """Return the score of a fact; raise `FactRefused`."""
        if self.values is not None:
            if not isinstance(fact, str) or fact not in self.values:
                raise FactRefused(self.fact, fact, "one of " + ", ".join(self.values))
            return self.values[fact]
        if isinstance(fact, str):
            raise FactRefused(self.fact, fact, "a number")
        position = bisect_right([band.start for band in self.bands], fact)
        if position == 0:
            raise FactRefused(self.fact, fact, f"{self.bands[0].start} or more")
        return self.bands[position - 1].score


@dataclass(frozen=True, slots=True)
class LevelLimit:
    """From this sum of scores on (inclusive) the case is of this level."""

    start: Decimal
    level: str


@dataclass(frozen=True, slots=True)
class LevelRule:
    """One version of a seller's rule; bands and levels rise."""

    version: str
    criteria: Sequence[Criterion]
    levels: Sequence[LevelLimit]


@dataclass(frozen=True, slots=True)
class Levelled:
    """A level, the scores it comes from, and the rule that gave it."""

    level: str
    scores: Mapping[str, int]
    rule_version: str


def level(rule: LevelRule, facts: Mapping[str, Decimal | str]) -> Levelled:
    """Score the facts of a case and return its level; raise `FactRefused` for a missing, unknown or too low fact."""
    known = {criterion.fact for criterion in rule.criteria}
    for fact in facts:
        if fact not in known:
            raise FactRefused(fact, facts[fact], "only " + ", ".join(sorted(known)))
    scores = {}
    for criterion in rule.criteria:
        if criterion.fact not in facts:
            raise FactRefused(criterion.fact, "missing", "this fact is required")
        scores[criterion.fact] = criterion.score(facts[criterion.fact])
    whole = sum(scores.values())
    position = bisect_right([limit.start for limit in rule.levels], whole)
    if position == 0:
        raise FactRefused("", f"a sum of scores of {whole}", f"{rule.levels[0].start} or more")
    return Levelled(rule.levels[position - 1].level, scores, rule.version)


DEFAULT_RULE: Final = LevelRule(
    version="house-1",
    criteria=(
        Criterion(
            "days_past_due",
            bands=(
                Band(Decimal(0), 0),
                Band(Decimal(31), 10),
                Band(Decimal(91), 30),
                Band(Decimal(271), 50),
                Band(Decimal(361), 60),
            ),
        ),
        Criterion("exposure", bands=(Band(Decimal(0), 0), Band(Decimal(50_000), 10), Band(Decimal(1_000_000), 30))),
        Criterion("customer_type", values={"person": 0, "company": 10}),
        Criterion("secured", values={"yes": 0, "no": 10}),
    ),
    levels=(LevelLimit(Decimal(0), "一级"), LevelLimit(Decimal(40), "二级"), LevelLimit(Decimal(70), "三级")),
)
"""The rule of sellers that have none of their own; days as in the five classes (90, 270 and 360, see `rules.md`)."""
