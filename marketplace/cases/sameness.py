"""Whether two cases are one claim that two sellers hold one after the other: found by matching, over keyed hashes."""

import uuid

from sqlalchemy import Select, or_, select, union
from sqlalchemy.orm import aliased

from marketplace.cases.domain.case import CustomerType, ObligorRole
from marketplace.cases.models import Case, Obligor


def same_claims(*, among: Select[uuid.UUID], held: Select[uuid.UUID]) -> Select[uuid.UUID]:
    """Query of those cases of `among` that are the claim of a personal case of `held`; locks nothing.

    The same borrower by identity number, and the same contract: its case key, or currency and day of origination where
    a new owner numbered it anew. Where one side has no identity number: the same case key and the same name. No
    visibility check: who asks shows no case to anybody.
    """
    ours, theirs = aliased(Case), aliased(Case)
    owes, owed = aliased(Obligor), aliased(Obligor)
    pairs = (
        select(ours.id)
        .join(owes, (owes.case_id == ours.id) & (owes.role == ObligorRole.BORROWER))
        .where(ours.id.in_(among), theirs.id.in_(held), theirs.customer_type == CustomerType.PERSON)
    )
    by_number = (
        pairs.join(owed, (owed.fingerprint == owes.fingerprint) & (owed.role == ObligorRole.BORROWER))
        .join(theirs, theirs.id == owed.case_id)
        .where(
            or_(
                theirs.case_key == ours.case_key,
                (theirs.originated_on == ours.originated_on) & (theirs.currency == ours.currency),
            )
        )
    )
    by_name = (
        pairs.join(theirs, theirs.case_key == ours.case_key)
        .join(owed, (owed.case_id == theirs.id) & (owed.role == ObligorRole.BORROWER))
        .where(
            owed.name_fingerprint == owes.name_fingerprint, or_(owed.fingerprint.is_(None), owes.fingerprint.is_(None))
        )
    )
    found = union(by_number, by_name).subquery()
    return select(found.c.id)
