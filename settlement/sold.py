"""The cases that a deal is about, with their figures at the cut-off, in order of the case key by code point."""

from sqlalchemy.orm import Session

from marketplace.packages import service as packages
from marketplace.packages.service import CaseColumns, FrozenCase
from settlement.deal_models import Deal


def cases(session: Session, deal: Deal) -> list[FrozenCase]:
    """Return the cases one by one, for rules that look at each."""
    return packages.frozen_cases(session, deal.package_id)


def columns(session: Session, deal: Deal) -> CaseColumns:
    """Return the cases in columns, for arithmetic over very many."""
    return packages.case_columns(session, deal.package_id)
