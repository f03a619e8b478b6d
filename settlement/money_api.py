"""Routes of money: statements and their lines, deposits, payment orders."""

import uuid
from typing import Any

from flask import Response

from marketplace import http
from marketplace.actor import Role
from marketplace.cases.domain import sheet
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads
from settlement import bank_accounts, deposit_life, deposits, payment_files, payments, returned_payments
from settlement import money_schemas as schemas
from settlement.bank_models import ReleaseAlert
from settlement.models import BankAccount, PaymentLimit, PaymentOrder

FINANCE = Role.OPERATOR_FINANCE
_FORM_BYTES = 64 * 1024

blueprint = http.Blueprint("money", description="How does money change hands?")


@blueprint.get("/deposits", policy=reads(Role.BUYER_BIDDER, Role.BUYER_ANALYST))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.DepositOut))
def list_deposits(page: dict[str, Any]) -> Page[deposits.DepositStatus]:
    """Deposits with what is held of each; a buyer sees its own."""
    return deposits.list_deposits(http.session(), **page, actor=http.actor())


@blueprint.get("/deposit-releases", policy=reads())
@blueprint.response(200, schemas.ReleasesDueOut)
def list_releases_due() -> dict[str, Any]:
    """Deposits that are to go back and are not back yet, with the deadline of their market."""
    return {"items": deposit_life.releases_due(http.session(), at=http.at())}


@blueprint.get("/deposit-releases/export.csv", policy=reads())
@blueprint.download(sheet.CSV)
def export_releases_csv() -> Response:
    """Deposits that are to go back as CSV, the earliest deadline first."""
    rows = deposit_life.table(http.session(), at=http.at())
    content = sheet.to_csv(deposit_life.HEADINGS, rows)
    return http.download(content, name="deposit-releases.csv", media_type=sheet.CSV)


@blueprint.get("/deposit-releases/export.xlsx", policy=reads())
@blueprint.download(sheet.XLSX)
def export_releases_xlsx() -> Response:
    """Deposits that are to go back as a workbook."""
    rows = deposit_life.table(http.session(), at=http.at())
    content = sheet.to_xlsx(deposit_life.HEADINGS, rows, name="releases")
    return http.download(content, name="deposit-releases.xlsx", media_type=sheet.XLSX)


@blueprint.get("/release-alerts", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ReleaseAlertOut))
def list_release_alerts(page: dict[str, Any]) -> Page[ReleaseAlert]:
    """Releases that were overdue, newest first."""
    return deposit_life.list_alerts(http.session(), **page)


@blueprint.post("/registrations/<uuid:registration_id>/release-deposit", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.PaymentOrdersOut)
def release_deposit(data: dict[str, Any], registration_id: uuid.UUID) -> dict[str, Any]:
    """Give a deposit back to whoever paid it: one payment order for each payer."""
    items = deposits.release(http.session(), registration_id=registration_id, **data, actor=http.actor(), at=http.at())
    return {"items": items}


@blueprint.get("/payment-orders", policy=reads(Role.SELLER_MANAGER, Role.BUYER_BIDDER))
@blueprint.arguments(schemas.PaymentOrderArgs, location="query")
@blueprint.response(200, page_of(schemas.PaymentOrderOut))
def list_orders(arguments: dict[str, Any]) -> Page[PaymentOrder]:
    """Payment orders, newest first; a payee sees its own."""
    return payments.list_orders(http.session(), **arguments, actor=http.actor())


@blueprint.get("/payment-orders/<uuid:order_id>", policy=reads(Role.SELLER_MANAGER, Role.BUYER_BIDDER))
@blueprint.response(200, schemas.PaymentOrderOut)
def get_order(order_id: uuid.UUID) -> PaymentOrder:
    """One payment order."""
    return payments.require_order(http.session(), order_id, actor=http.actor())


@blueprint.post("/payment-orders/<uuid:order_id>/approve", policy=allow(FINANCE, Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.response(200, schemas.PaymentOrderOut)
def approve_order(order_id: uuid.UUID) -> PaymentOrder:
    """Approve a payment that another person (or the clockwork) proposed."""
    return payments.approve_order(http.session(), order_id=order_id, actor=http.actor(), at=http.at())


@blueprint.post("/payment-orders/<uuid:order_id>/send", policy=allow(FINANCE), idempotent=True)
@blueprint.response(200, schemas.PaymentOrderOut)
def send_order(order_id: uuid.UUID) -> PaymentOrder:
    """Say that the bank was told to pay."""
    return payments.send_order(http.session(), order_id=order_id, actor=http.actor(), at=http.at())


@blueprint.post("/payment-orders/<uuid:order_id>/cancel", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.PaymentOrderOut)
def cancel_order(data: dict[str, Any], order_id: uuid.UUID) -> PaymentOrder:
    """Give up a payment that was not sent; its money goes back where it came from."""
    return payments.cancel_order(http.session(), order_id=order_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/payment-orders/<uuid:order_id>/repeat", policy=allow(FINANCE), idempotent=True)
@blueprint.response(201, schemas.PaymentOrderOut)
def repeat_order(order_id: uuid.UUID) -> PaymentOrder:
    """Propose a returned payment again, to the payee's newest bank account."""
    return returned_payments.repeat_order(http.session(), order_id=order_id, actor=http.actor(), at=http.at())


@blueprint.post("/payment-limits", policy=allow(Role.OPERATOR_ADMIN), idempotent=True)
@blueprint.arguments(schemas.PaymentLimitIn)
@blueprint.response(201, schemas.PaymentLimitOut)
def set_limit(data: dict[str, Any]) -> PaymentLimit:
    """Say above what amount two persons approve a payment in a currency."""
    return payments.set_limit(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/payment-limits", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.PaymentLimitOut))
def list_limits(page: dict[str, Any]) -> Page[PaymentLimit]:
    """Limits of payments, newest first."""
    return payments.list_limits(http.session(), **page)


@blueprint.get("/payment-orders/pain001.xml", policy=allow(FINANCE))
@blueprint.download("application/xml")
def export_pain001() -> Response:
    """The approved wire orders as ISO 20022 pain.001.001.09, for upload to the bank."""
    content = payment_files.pain001(http.session(), actor=http.actor(), at=http.at())
    return http.download(content, name="pain001.xml", media_type="application/xml")


@blueprint.get("/payment-orders/export.csv", policy=reads())
@blueprint.arguments(schemas.PaymentOrderFileArgs, location="query")
@blueprint.download("text/csv")
def export_csv(arguments: dict[str, Any]) -> Response:
    """Payment orders as CSV, newest first."""
    content = payment_files.orders_csv(http.session(), **arguments)
    return http.download(content, name="payment-orders.csv", media_type="text/csv")


@blueprint.post("/bank-accounts", policy=allow(Role.SELLER_MANAGER, Role.BUYER_BIDDER, FINANCE), idempotent=True)
@blueprint.arguments(schemas.BankAccountIn)
@blueprint.response(201, schemas.BankAccountOut)
def add_bank_account(data: dict[str, Any]) -> BankAccount:
    """Say where an organisation wants to be paid."""
    data["organisation_id"] = data["organisation_id"] or http.actor().organisation_id
    return bank_accounts.add_bank_account(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/bank-accounts", policy=reads(Role.SELLER_MANAGER, Role.BUYER_BIDDER))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.BankAccountOut))
def list_bank_accounts(page: dict[str, Any]) -> Page[BankAccount]:
    """Bank accounts of organisations, newest first; everybody sees their own."""
    return bank_accounts.list_bank_accounts(http.session(), **page, actor=http.actor())
