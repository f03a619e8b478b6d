"""Routes of money changed: two bank lines in two currencies, and the worth of what was changed; two persons always."""

import uuid
from decimal import Decimal
from typing import Any

from marketplace import http
from marketplace.actor import Role
from marketplace.db import Page
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.policies import allow, reads
from settlement import currency_changes, exchange
from settlement import exchange_schemas as schemas
from settlement.ledger_models import CurrencyChange, Revaluation

FINANCE = Role.OPERATOR_FINANCE
_SECOND = allow(FINANCE, Role.OPERATOR_ADMIN)

blueprint = http.Blueprint("exchange", description="What became of money in another currency?")


@blueprint.post("/currency-changes", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.ChangeIn)
@blueprint.response(201, schemas.ChangeOut)
def propose_change(data: dict[str, Any]) -> CurrencyChange:
    """Say that what one bank line took was changed into what another brought; another person posts it."""
    return currency_changes.propose_change(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/currency-changes", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ChangeOut))
def list_changes(page: dict[str, Any]) -> Page[CurrencyChange]:
    """Changes of money, newest first."""
    return currency_changes.list_changes(http.session(), **page)


@blueprint.post("/currency-changes/<uuid:change_id>/approve", policy=_SECOND, idempotent=True)
@blueprint.response(200, schemas.ChangeOut)
def approve_change(change_id: uuid.UUID) -> CurrencyChange:
    """Post a change that another person proposed."""
    return currency_changes.approve_change(http.session(), change_id=change_id, actor=http.actor(), at=http.at())


@blueprint.post("/currency-changes/<uuid:change_id>/reject", policy=_SECOND, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.ChangeOut)
def reject_change(data: dict[str, Any], change_id: uuid.UUID) -> CurrencyChange:
    """Turn a change down; nothing is posted."""
    return currency_changes.reject_change(http.session(), change_id=change_id, **data, actor=http.actor(), at=http.at())


def _rates(data: dict[str, Any]) -> dict[str, Decimal]:
    return {one["currency"]: one["rate"] for one in data.pop("rates")}


@blueprint.post("/revaluations/preview", policy=allow(FINANCE))
@blueprint.arguments(schemas.ValuationIn)
@blueprint.response(200, schemas.ValuationOut)
def preview_revaluation(data: dict[str, Any]) -> dict[str, Any]:
    """Gain or loss of the position at rates; nothing is written."""
    rates = _rates(data)
    return {"gain": exchange.value(http.session(), rates=rates, **data)}


@blueprint.post("/revaluations", policy=allow(FINANCE), idempotent=True)
@blueprint.arguments(schemas.RevaluationIn)
@blueprint.response(201, schemas.RevaluationOut)
def propose_revaluation(data: dict[str, Any]) -> Revaluation:
    """Ask to move gain or loss of the position to the result, once for a day; another person posts it."""
    rates = _rates(data)
    return currency_changes.propose_revaluation(http.session(), rates=rates, **data, actor=http.actor(), at=http.at())


@blueprint.get("/revaluations", policy=reads())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.RevaluationOut))
def list_revaluations(page: dict[str, Any]) -> Page[Revaluation]:
    """Valuations of the position, newest first."""
    return currency_changes.list_revaluations(http.session(), **page)


@blueprint.post("/revaluations/<uuid:revaluation_id>/approve", policy=_SECOND, idempotent=True)
@blueprint.response(200, schemas.RevaluationOut)
def approve_revaluation(revaluation_id: uuid.UUID) -> Revaluation:
    """Post a valuation that another person proposed."""
    return currency_changes.approve_revaluation(
        http.session(), revaluation_id=revaluation_id, actor=http.actor(), at=http.at()
    )


@blueprint.post("/revaluations/<uuid:revaluation_id>/reject", policy=_SECOND, idempotent=True)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.RevaluationOut)
def reject_revaluation(data: dict[str, Any], revaluation_id: uuid.UUID) -> Revaluation:
    """Turn a valuation down; nothing is posted."""
    return currency_changes.reject_revaluation(
        http.session(), revaluation_id=revaluation_id, **data, actor=http.actor(), at=http.at()
    )
