"""The onward-sale lock (不得再次对外转让): claims bought under the undertaking not to resell are not listed again.

Bound is who gave the undertaking, and every organisation that shares an owner or officer with it or is one itself
(rules.md, Packages: buyers of bulk personal packages, no resale, S). Only personal claims are locked, and a claim that
went back to its seller is free.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from auctions import eligibility
from auctions.award_models import Award
from auctions.domain.checks import cited
from auctions.domain.lifecycles import AwardState
from auctions.domain.terms import Missing
from auctions.lot_models import LotCase
from auctions.models import Listing, Registration
from marketplace.crypto import Vault
from marketplace.packages import service as packages
from marketplace.parties import service as parties


def gaps(session: Session, listing: Listing, *, vault: Vault) -> list[Missing]:
    """Return the lock on a listing's package: how many of its claims it holds, and the source; empty when none."""
    bound = parties.related_organisations(session, listing.seller_organisation_id, vault=vault)
    undertaken = (
        Award.state == AwardState.CONTRACTED,
        Registration.organisation_id.in_(bound),
        Registration.no_resale_required,
        Registration.no_resale_at.is_not(None),
    )
    registered: Any = Registration.id == Award.registration_id
    newest = select(Listing).join(Award, Award.listing_id == Listing.id).join(Registration, registered)
    sold = session.scalars(newest.where(*undertaken).order_by(Award.id.desc()).limit(1)).first()
    if sold is None:
        return []
    lots = (LotCase.listing_id == Award.listing_id) & (LotCase.lot == Award.lots.any_())
    bought = select(Award.package_id, LotCase.case_id).join(Registration, registered).outerjoin(LotCase, lots)
    claims = packages.claims_held_in(session, listing.package_id, bought=bought.where(*undertaken))
    if not claims:
        return []
    source = eligibility.preset_of(session, sold).no_resale_source
    detail = f"Take out {claims} personal claims: they were bought under the undertaking not to resell."
    return [Missing("onward_sale_locked", f"{detail} ({cited(source)})", source)]
