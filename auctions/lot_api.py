"""Routes of lots: which cases of a package are sold together."""

import csv
import io
import uuid
from typing import Any, Final

from flask import Response

from auctions import lot_schemas as schemas
from auctions import service
from auctions.domain.lots import Cut
from marketplace import http
from marketplace.actor import Role
from marketplace.cases.domain.sheet import CSV, to_csv
from marketplace.errors import Invalid
from marketplace.packages.schemas import criteria_of
from marketplace.policies import allow, signed_in

blueprint = http.Blueprint("lots", description="What is sold together?")

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
COLUMNS: Final = ("lot", "case_key")

_SELLER = (Role.SELLER_MANAGER, Role.SELLER_AGENT)


class LotsFileUnreadable(Invalid):
    """The file is not a CSV of lots and case keys."""

    code = "lots_file_unreadable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The file of lots cannot be read: {reason}")


def _cut(listing_id: uuid.UUID, cuts: list[Cut], *, rest_not_for_sale: bool) -> Any:
    row = service.cut_lots(
        http.session(),
        listing_id=listing_id,
        cuts=cuts,
        rest_not_for_sale=rest_not_for_sale,
        actor=http.actor(),
        at=http.at(),
    )
    return service.show_lots(http.session(), listing_id, actor=http.actor()), 200, http.etag(row.version)


@blueprint.post("/listings/<uuid:listing_id>/lots", policy=allow(*_SELLER))
@blueprint.arguments(schemas.LotsIn)
@blueprint.response(200, schemas.LotsOut)
def cut_lots(data: dict[str, Any], listing_id: uuid.UUID) -> Any:
    """Say which cases each lot of a draft has; send its ETag in If-Match."""
    listing = service.lock_listing(http.session(), listing_id, actor=http.actor())
    http.require_match(listing.version)
    cuts = []
    for place, lot in enumerate(data["lots"]):
        chosen, keys = lot.get("filter"), lot.get("case_keys")
        where = f"/lots/{place}/filter"
        criteria = None if chosen is None else criteria_of(chosen, currency=listing.currency, pointer=where)
        if criteria is not None:
            criteria.check()
        cuts.append(Cut(lot["lot"], criteria, None if keys is None else tuple(keys)))
    return _cut(listing_id, cuts, rest_not_for_sale=data["rest_not_for_sale"])


@blueprint.post("/listings/<uuid:listing_id>/lots/file", policy=allow(*_SELLER), max_bytes=MAX_FILE_BYTES)
@blueprint.arguments(schemas.LotsFileIn, location="files")
@blueprint.arguments(schemas.LotsFormIn, location="form")
@blueprint.response(200, schemas.LotsOut)
def cut_lots_by_file(files: dict[str, Any], form: dict[str, Any], listing_id: uuid.UUID) -> Any:
    """Say by a CSV file (columns `lot`, `case_key`) which cases each lot has; send the listing's ETag in If-Match."""
    listing = service.lock_listing(http.session(), listing_id, actor=http.actor())
    http.require_match(listing.version)
    return _cut(listing_id, read_file(files["file"].read()), **form)


def read_file(content: bytes) -> list[Cut]:
    """Read a file of lots: each lot once, in the order of its first row; raise `LotsFileUnreadable`."""
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = tuple(cell.strip() for cell in next(rows, []))
        if header != COLUMNS:
            raise LotsFileUnreadable("its first row must be " + ",".join(COLUMNS) + ".")
        lots: dict[str, list[str]] = {}
        for row in rows:
            if not row:
                continue
            if len(row) != len(COLUMNS) or not all(row):
                raise LotsFileUnreadable(f"line {rows.line_num} must have a lot and a case key.")
            lots.setdefault(row[0], []).append(row[1])
    except (UnicodeDecodeError, csv.Error) as error:
        raise LotsFileUnreadable(f"{error}.") from None
    if not lots:
        raise LotsFileUnreadable("it has no rows.")
    return [Cut(name, case_keys=tuple(keys)) for name, keys in lots.items()]


@blueprint.get("/listings/<uuid:listing_id>/lots", policy=signed_in())
@blueprint.response(200, schemas.LotsOut)
def show_lots(listing_id: uuid.UUID) -> Any:
    """Show the lots of a listing with their reserves and figures."""
    listing = service.get_listing(http.session(), listing_id, actor=http.actor())
    return service.show_lots(http.session(), listing_id, actor=http.actor()), 200, http.etag(listing.version)


@blueprint.get("/listings/<uuid:listing_id>/lots.csv", policy=signed_in())
@blueprint.download(CSV)
def download_lots(listing_id: uuid.UUID) -> Response:
    """Download which row of the masked tape is in which lot; its seller, operator and auditor see the case keys too."""
    content = to_csv(*service.list_lot_cases(http.session(), listing_id, actor=http.actor()))
    return http.download(content, name=f"lots-{listing_id}.csv", media_type=CSV)
