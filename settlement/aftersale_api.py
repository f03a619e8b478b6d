"""Routes of what follows a closing: adjustments, true-up statements, and the rows behind every figure."""

import uuid
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads
from settlement import adjustments, after_sale_papers, closings, deals, figures, ledger_papers, true_ups
from settlement import aftersale_schemas as schemas
from settlement.closing_models import Adjustment
from settlement.figures import read_figure
from settlement.ledger_papers import FileKind
from settlement.ledger_schemas import LedgerFileArgs

FILE_ROWS = 10_000

blueprint = http.Blueprint("after-sale", description="What moves between buyer and seller after the closing?")

_PARTIES = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_FINANCE = allow(Role.OPERATOR_FINANCE, Role.OPERATOR_ADMIN)


@blueprint.post("/deals/<uuid:deal_id>/adjustments", policy=_FINANCE, idempotent=True)
@blueprint.arguments(schemas.AdjustmentIn)
@blueprint.response(201, schemas.AdjustmentOut)
def propose_adjustment(data: dict[str, Any], deal_id: uuid.UUID) -> Adjustment:
    """Propose collections to hand over, a price adjustment, or cases that go back; another person approves."""
    cases = [(one["case_key"], one["amount"]) for one in data.pop("cases")]
    return adjustments.propose_adjustment(
        http.session(), deal_id=deal_id, cases=cases, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/deals/<uuid:deal_id>/adjustments", policy=_PARTIES)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.AdjustmentOut))
def list_adjustments(page: dict[str, Any], deal_id: uuid.UUID) -> Page[Adjustment]:
    """List what moved after a closing, newest first; parties see what is approved."""
    return adjustments.list_adjustments(http.session(), deal_id=deal_id, **page, actor=http.actor())


@blueprint.get("/adjustments/<uuid:adjustment_id>", policy=_PARTIES)
@blueprint.response(200, schemas.AdjustmentOut)
def show_adjustment(adjustment_id: uuid.UUID) -> Adjustment:
    """Show an adjustment."""
    return adjustments.get_adjustment(http.session(), adjustment_id=adjustment_id, actor=http.actor())


@blueprint.get("/adjustments/<uuid:adjustment_id>/cases", policy=_PARTIES)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.CasePartOut))
def list_case_parts(page: dict[str, Any], adjustment_id: uuid.UUID) -> Page[adjustments.CasePart]:
    """List the part of every case in an adjustment."""
    return adjustments.list_case_parts(http.session(), adjustment_id=adjustment_id, **page, actor=http.actor())


@blueprint.post("/adjustments/<uuid:adjustment_id>/approve", policy=_FINANCE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AdjustmentOut)
def approve_adjustment(data: dict[str, Any], adjustment_id: uuid.UUID) -> Adjustment:
    """Approve what another person proposed; the holdback pays what it can at once."""
    return _decide(adjustment_id, data, approve=True)


@blueprint.post("/adjustments/<uuid:adjustment_id>/reject", policy=_FINANCE, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AdjustmentOut)
def reject_adjustment(data: dict[str, Any], adjustment_id: uuid.UUID) -> Adjustment:
    """Reject an adjustment; who proposed it may take it back too."""
    return _decide(adjustment_id, data, approve=False)


def _decide(adjustment_id: uuid.UUID, data: dict[str, Any], *, approve: bool) -> Adjustment:
    return adjustments.decide_adjustment(
        http.session(), adjustment_id=adjustment_id, approve=approve, **data, actor=http.actor(), at=http.at()
    )


@blueprint.post("/adjustments/<uuid:adjustment_id>/settle", policy=allow(Role.OPERATOR_FINANCE), idempotent=True)
@blueprint.arguments(schemas.CoverIn)
@blueprint.response(200, schemas.AdjustmentOut)
def cover_adjustment(data: dict[str, Any], adjustment_id: uuid.UUID) -> Adjustment:
    """Pay an adjustment, or some of it, with what a bank line brought; the payment to whom it is owed is proposed."""
    return adjustments.cover_adjustment(
        http.session(), adjustment_id=adjustment_id, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/deals/<uuid:deal_id>/true-up", policy=_PARTIES)
@blueprint.arguments(schemas.TrueUpArgs, location="query")
@blueprint.response(200, schemas.TrueUpOut)
def show_true_up(query: dict[str, Any], deal_id: uuid.UUID) -> true_ups.TrueUpView:
    """Show the true-up of your side; the other side's is the same with every sign turned round."""
    return _true_up(deal_id, query)


@blueprint.get("/deals/<uuid:deal_id>/true-up/file", policy=_PARTIES)
@blueprint.arguments(schemas.TrueUpFileArgs, location="query")
@blueprint.download(*ledger_papers.MEDIA_TYPES.values())
def download_true_up(query: dict[str, Any], deal_id: uuid.UUID) -> Response:
    """Download the true-up statement of your side as PDF, XLSX or CSV."""
    table = after_sale_papers.true_up_table(_true_up(deal_id, query), language=query["language"])
    return _file(table, query["format"], "true-up")


@blueprint.get("/deals/<uuid:deal_id>/cases/file", policy=_PARTIES)
@blueprint.arguments(LedgerFileArgs, location="query")
@blueprint.download(*ledger_papers.MEDIA_TYPES.values())
def download_cases(query: dict[str, Any], deal_id: uuid.UUID) -> Response:
    """Download price and net of the first ten thousand cases side by side as PDF, XLSX or CSV."""
    session, actor = http.session(), http.actor()
    page = closings.list_case_closings(session, deal_id=deal_id, cursor=None, limit=FILE_ROWS, actor=actor)
    view = deals.with_names(session, [deals.get_deal(session, deal_id, actor=actor)])[0]
    table = after_sale_papers.case_table(view, page.items, language=query["language"], at=http.at())
    return _file(table, query["format"], "cases")


def _file(table: ledger_papers.Table, kind: FileKind, name: str) -> Response:
    content = ledger_papers.write(table, kind=kind)
    return http.download(content, name=f"{name}.{kind.value}", media_type=ledger_papers.MEDIA_TYPES[kind])


def _true_up(deal_id: uuid.UUID, query: dict[str, Any]) -> true_ups.TrueUpView:
    return true_ups.true_up(http.session(), deal_id=deal_id, party=query["party"], actor=http.actor(), at=http.at())


@blueprint.get("/deals/<uuid:deal_id>/figures", policy=_PARTIES)
@blueprint.response(200, schemas.FiguresOut)
def list_figures(deal_id: uuid.UUID) -> dict[str, Any]:
    """List every figure of a deal's statements with the number of rows behind it and where they are listed."""
    return {"items": figures.list_figures(http.session(), deal_id=deal_id, actor=http.actor())}


@blueprint.get("/deals/<uuid:deal_id>/figures/<string:figure>", policy=_PARTIES)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.FigureRowOut))
def list_figure_rows(page: dict[str, Any], deal_id: uuid.UUID, figure: str) -> Page[figures.FigureRow]:
    """List the rows that a figure is the sum of."""
    return figures.rows_of_figure(
        http.session(), deal_id=deal_id, figure=read_figure(figure), **page, actor=http.actor()
    )
