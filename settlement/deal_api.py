"""Routes of deals: what is to be paid, the contract, the distribution, the papers, the reconciliation, the trail."""

import dataclasses
import uuid
from typing import Any

from flask import Response, request

from marketplace import documents, http
from marketplace.actor import Role, Scope
from marketplace.clock import local_date
from marketplace.db import Page
from marketplace.documents import Node
from marketplace.fields import PageArgs, page_of
from marketplace.policies import allow, reads, signed_in
from settlement import deal_schemas as schemas
from settlement import deals, fees, notice_views, papers, payouts, reconciliation, reports, trail, workbook
from settlement.deal_models import FeeSchedule
from settlement.deals import DealView
from settlement.domain.deal import ZONE
from settlement.domain.funds_flow import FundsFlow
from settlement.domain.split import split
from settlement.reconciliation import Reconciliation

PREVIEW_BYTES = 8 * 1024 * 1024

blueprint = http.Blueprint("deals", description="How do money and title change hands?")

_PARTIES = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_FINANCE = reads()


def _view(deal: Any) -> DealView:
    return _dated(deals.with_names(http.session(), [deal])[0])


def _dated(view: DealView) -> DealView:
    return dataclasses.replace(
        view, overdue=notice_views.is_overdue(http.session(), view.deal, on=local_date(http.at(), ZONE))
    )


@blueprint.get("/deals", policy=_PARTIES)
@blueprint.arguments(schemas.DealArgs, location="query")
@blueprint.response(200, page_of(schemas.DealOut))
def list_deals(query: dict[str, Any]) -> Page[DealView]:
    """List the deals that you are a party of, newest first; operator and auditor see all."""
    page = deals.list_deals(http.session(), **query, actor=http.actor())
    return Page([_dated(view) for view in page.items], page.next)


@blueprint.get("/deals/<uuid:deal_id>", policy=_PARTIES)
@blueprint.response(200, schemas.DealOut)
def show_deal(deal_id: uuid.UUID) -> DealView:
    """Show a deal: where it stands, what was paid, what is due."""
    return _view(deals.get_deal(http.session(), deal_id, actor=http.actor()))


@blueprint.post(
    "/deals/<uuid:deal_id>/sign-contract", policy=allow(Role.SELLER_MANAGER, Role.BUYER_BIDDER), idempotent=True
)
@blueprint.response(200, schemas.DealOut)
def sign_contract(deal_id: uuid.UUID) -> DealView:
    """Sign the contract for your side; when both have signed the runner-up's deposit is released."""
    return _view(deals.sign_contract(http.session(), deal_id=deal_id, actor=http.actor(), at=http.at()))


@blueprint.post("/deals/<uuid:deal_id>/distribute", policy=allow(Role.OPERATOR_FINANCE), idempotent=True)
@blueprint.response(200, schemas.DealOut)
def distribute(deal_id: uuid.UUID) -> DealView:
    """Distribute a paid and signed deal now; it happens by itself too, and only once."""
    return _view(payouts.distribute_deal(http.session(), deal_id=deal_id, actor=http.actor(), at=http.at()))


@blueprint.get("/deals/<uuid:deal_id>/funds-flow", policy=_PARTIES)
@blueprint.response(200, schemas.FundsFlowOut)
def show_funds_flow(deal_id: uuid.UUID) -> FundsFlow:
    """Show what is deducted from the price: a preview before the distribution, the same figures after it."""
    return payouts.show_flow(http.session(), deal_id=deal_id, actor=http.actor())


@blueprint.get("/deals/<uuid:deal_id>/funds-flow.json", policy=_PARTIES)
@blueprint.download("application/json")
def download_funds_flow(deal_id: uuid.UUID) -> Response:
    """Download the document that `python -m settlement split` recomputes this deal from, offline."""
    content = payouts.funds_flow_document(http.session(), deal_id=deal_id, actor=http.actor())
    return http.download(content, name="funds-flow.json", media_type="application/json")


@blueprint.get("/deals/<uuid:deal_id>/allocations", policy=_PARTIES)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.AllocationOut))
def list_allocations(page: dict[str, Any], deal_id: uuid.UUID) -> Page[payouts.CaseShare]:
    """List what each case received."""
    return payouts.list_allocations(http.session(), deal_id=deal_id, **page, actor=http.actor())


@blueprint.get("/deals/<uuid:deal_id>/invoice.pdf", policy=_PARTIES)
@blueprint.arguments(schemas.LanguageArgs, location="query")
@blueprint.download(reports.MEDIA_TYPE)
def download_invoice(query: dict[str, Any], deal_id: uuid.UUID) -> Response:
    """Download the invoice of the balance."""
    content = papers.invoice(http.session(), deal_id=deal_id, **query, actor=http.actor(), at=http.at())
    return http.download(content, name="invoice.pdf", media_type=reports.MEDIA_TYPE)


@blueprint.get("/deals/<uuid:deal_id>/statement.pdf", policy=_PARTIES)
@blueprint.arguments(schemas.StatementArgs, location="query")
@blueprint.download(reports.MEDIA_TYPE)
def download_statement(query: dict[str, Any], deal_id: uuid.UUID) -> Response:
    """Download the statement of account of your side."""
    content = papers.statement(http.session(), deal_id=deal_id, **query, actor=http.actor(), at=http.at())
    return http.download(content, name="statement.pdf", media_type=reports.MEDIA_TYPE)


@blueprint.get("/deals/<uuid:deal_id>/reconciliation", policy=_FINANCE)
@blueprint.response(200, schemas.ReconciliationOut)
def reconcile_deal(deal_id: uuid.UUID) -> Reconciliation:
    """Compare bank lines, ledger, funds flow and cases of a deal, each figure added up from its own rows."""
    return reconciliation.reconcile(http.session(), deal_id=deal_id, actor=http.actor(), at=http.at())


@blueprint.get("/deals/<uuid:deal_id>/reconciliation.xlsx", policy=_FINANCE)
@blueprint.arguments(schemas.LanguageArgs, location="query")
@blueprint.download(workbook.MEDIA_TYPE)
def download_reconciliation_xlsx(query: dict[str, Any], deal_id: uuid.UUID) -> Response:
    """Download the reconciliation with every bank line, entry and case."""
    content = papers.reconciliation_xlsx(http.session(), deal_id=deal_id, **query, actor=http.actor(), at=http.at())
    return http.download(content, name="reconciliation.xlsx", media_type=workbook.MEDIA_TYPE)


@blueprint.get("/deals/<uuid:deal_id>/reconciliation.pdf", policy=_FINANCE)
@blueprint.arguments(schemas.LanguageArgs, location="query")
@blueprint.download(reports.MEDIA_TYPE)
def download_reconciliation_pdf(query: dict[str, Any], deal_id: uuid.UUID) -> Response:
    """Download the summary of the reconciliation."""
    content = papers.reconciliation_pdf(http.session(), deal_id=deal_id, **query, actor=http.actor(), at=http.at())
    return http.download(content, name="reconciliation.pdf", media_type=reports.MEDIA_TYPE)


@blueprint.get("/reconciliation", policy=_FINANCE)
@blueprint.arguments(schemas.DealArgs, location="query")
@blueprint.response(200, schemas.ReconciliationsOut)
def reconcile_deals(query: dict[str, Any]) -> dict[str, Any]:
    """Compare the figures of every deal, newest first, and the whole bank account with the books."""
    page = reconciliation.reconcile_all(http.session(), **query, actor=http.actor(), at=http.at())
    return {"items": page.items, "next": page.next, "bank": reconciliation.bank_checks(http.session())}


@blueprint.get("/cases/<uuid:case_id>/money-trail", policy=_PARTIES)
@blueprint.response(200, schemas.MoneyTrailOut)
def show_money_trail(case_id: uuid.UUID) -> trail.MoneyTrail:
    """Trace the money of one case back to the bank lines."""
    return trail.money_trail(http.session(), case_id=case_id, actor=http.actor())


@blueprint.get("/statement-lines/<uuid:line_id>/cases", policy=_FINANCE)
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.LineCaseOut))
def list_cases_of_line(page: dict[str, Any], line_id: uuid.UUID) -> Page[trail.LineCase]:
    """List the cases that a bank line paid for, or paid out."""
    return trail.cases_of_line(http.session(), line_id=line_id, **page)


@blueprint.get("/fee-schedules", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.FeeScheduleOut))
def list_fee_schedules(page: dict[str, Any]) -> Page[FeeSchedule]:
    """List what is deducted from a price, by currency and version, newest first."""
    return fees.list_schedules(http.session(), **page)


@blueprint.post("/fee-schedules", policy=allow(Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(schemas.FeeScheduleIn)
@blueprint.response(201, schemas.FeeScheduleOut)
def add_fee_schedule(data: dict[str, Any]) -> FeeSchedule:
    """Add the next version for a currency, in force from a later day; deals under way keep theirs."""
    return fees.add_schedule(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.post("/previews/split", policy=signed_in(scope=Scope.READ), max_bytes=PREVIEW_BYTES)
@blueprint.doc(requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}})
@blueprint.response(200, schemas.SplitOut)
def preview_split() -> dict[str, Any]:
    """Compute a funds flow document (formats, section 3), as `python -m settlement split` does."""
    if not request.is_json:
        raise http.UnsupportedMediaType(request.mimetype)
    return split(Node(documents.parse(request.get_data())))
