"""What eligibility asks of a package without seeing a case: does a person owe in it, where are its companies."""

import uuid
from collections.abc import Collection

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.cases import service as cases
from marketplace.packages.models import Package, PackageCase

COMPANY = "company"


def owes_in(
    session: Session, package_id: uuid.UUID, *, fingerprints: Collection[bytes], names: Collection[bytes]
) -> bool | None:
    """Whether somebody with one of these fingerprints borrows or guarantees in a package.

    True: by identity number. False: a namesake only. None: nobody. Which case it is, is told to nobody.
    """
    found = cases.matching_obligors(fingerprints=fingerprints, names=names).subquery()
    query = (
        select(found.c.certain)
        .join(PackageCase, PackageCase.case_id == found.c.case_id)
        .where(PackageCase.package_id == package_id)
        .order_by(found.c.certain.desc())
        .limit(1)
    )
    return session.scalar(query)


def has_companies_outside(session: Session, package_id: uuid.UUID, *, province: str | None) -> bool:
    """Whether a package has corporate cases of another province than this one, or of an unknown one."""
    query = select(PackageCase.case_id).where(
        PackageCase.package_id == package_id,
        PackageCase.customer_type == COMPANY,
        PackageCase.province.is_distinct_from(province),
    )
    return session.scalar(query.limit(1)) is not None


def families() -> Select[uuid.UUID, uuid.UUID]:
    """Query of (`package_id`, `family_id`): packages that were split from one another are of one family."""
    family = func.coalesce(Package.origin_id, Package.id)
    return select(Package.id.label("package_id"), family.label("family_id"))
