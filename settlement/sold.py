"""The cases that a deal is about, with their figures at the cut-off, in order of the case key by code point.

They are those of its package, or of the lots that its award is for; then `LotsWithoutCases` may be raised.
"""

import uuid
from collections.abc import Set as AbstractSet

from sqlalchemy.orm import Session

from auctions import service as auctions
from marketplace.packages import service as packages
from marketplace.packages.service import CaseColumns, FrozenCase
from settlement.deal_models import Deal


def of_lots(session: Session, deal: Deal) -> AbstractSet[uuid.UUID] | None:
    """Return the cases of the lots that a deal is about, None when it is about its whole package."""
    return auctions.cases_of_award(session, auctions.require_award(session, deal.award_id))


def cases(session: Session, deal: Deal) -> list[FrozenCase]:
    """Return the cases one by one, for rules that look at each."""
    own = of_lots(session, deal)
    frozen = packages.frozen_cases(session, deal.package_id)
    return frozen if own is None else [one for one in frozen if one.case_id in own]


def columns(session: Session, deal: Deal) -> CaseColumns:
    """Return the cases in columns, for arithmetic over very many."""
    own = of_lots(session, deal)
    whole = packages.case_columns(session, deal.package_id)
    return whole if own is None else whole.only(own)
