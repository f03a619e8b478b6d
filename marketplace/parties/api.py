"""Routes of the parties: signing in, organisations, users, licences, API keys."""

import uuid
from typing import Any

import flask
from flask import Response

from marketplace import http
from marketplace.actor import Actor, Role
from marketplace.db import Page
from marketplace.errors import Failure
from marketplace.fields import PageArgs, ReasonIn, page_of
from marketplace.parties import models, schemas, service
from marketplace.policies import allow, public, reads, signed_in
from marketplace.runtime import current

blueprint = http.Blueprint("parties", description="Who takes part?")

_MANAGERS = (Role.SELLER_MANAGER, Role.BUYER_BIDDER, Role.VALUER_APPRAISER)
_MANAGE = allow(Role.OPERATOR_ADMIN, *_MANAGERS)
_DECIDE = allow(Role.OPERATOR_ADMIN, Role.OPERATOR_COMPLIANCE)


@blueprint.post("/sessions", policy=public())
@blueprint.arguments(schemas.SignInIn)
@blueprint.response(201, schemas.SignedInOut)
def sign_in(data: dict[str, Any]) -> Any:
    """Sign in with login and password: a token for 12 hours, also set as the cookie `session`."""
    answer = service.sign_in(http.session(), **data, address=flask.request.remote_addr or "", at=http.at())
    if isinstance(answer, Failure):
        return http.problem_response(answer)
    return (
        answer,
        201,
        {"Set-Cookie": _cookie(answer.token, max_age=int((answer.expires_at - http.at()).total_seconds()))},
    )


@blueprint.delete("/sessions/current", policy=signed_in())
@blueprint.response(204)
def sign_out() -> Any:
    """Sign out: the token is worthless from now on."""
    service.sign_out(http.session(), token=http.token(), actor=http.actor(), at=http.at())
    return None, 204, {"Set-Cookie": _cookie("", max_age=0)}


def _cookie(token: str, *, max_age: int) -> str:
    response = Response()
    response.set_cookie(
        http.COOKIE,
        token,
        max_age=max_age,
        httponly=True,
        samesite="Strict",
        secure=current().settings.secure_cookies,
    )
    return response.headers["Set-Cookie"]


@blueprint.get("/me", policy=signed_in())
@blueprint.response(200, schemas.ActorOut)
def me() -> Actor:
    """Say who is acting."""
    return http.actor()


@blueprint.post("/me/password", policy=signed_in())
@blueprint.arguments(schemas.PasswordChangeIn)
@blueprint.response(204)
def change_password(data: dict[str, Any]) -> Any:
    """Change one's own password; every other session of the user ends."""
    failure = service.change_password(
        http.session(),
        **data,
        token=http.token(),
        address=flask.request.remote_addr or "",
        actor=http.actor(),
        at=http.at(),
    )
    return None if failure is None else http.problem_response(failure)


@blueprint.post("/organisations", policy=allow(Role.OPERATOR_ADMIN))
@blueprint.arguments(schemas.OrganisationIn)
@blueprint.response(201, schemas.OrganisationOut)
def create_organisation(data: dict[str, Any]) -> models.Organisation:
    """Take in an organisation's application."""
    return service.create_organisation(http.session(), **data, actor=http.actor(), at=http.at())


@blueprint.get("/organisations", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.OrganisationOut))
def list_organisations(page: dict[str, Any]) -> Page[models.Organisation]:
    """List the organisations one may see: all for operator and auditor, else one's own."""
    return service.list_organisations(http.session(), **page, actor=http.actor())


@blueprint.get("/organisations/<uuid:organisation_id>", policy=signed_in())
@blueprint.response(200, schemas.OrganisationOut)
def show_organisation(organisation_id: uuid.UUID) -> models.Organisation:
    """Show an organisation."""
    return service.visible_organisation(http.session(), organisation_id, actor=http.actor())


def _decide_organisation(organisation_id: uuid.UUID, verb: str, reason: str = "") -> models.Organisation:
    return service.decide_organisation(
        http.session(), organisation_id=organisation_id, verb=verb, reason=reason, actor=http.actor(), at=http.at()
    )


@blueprint.post("/organisations/<uuid:organisation_id>/approve", policy=_DECIDE)
@blueprint.response(200, schemas.OrganisationOut)
def approve_organisation(organisation_id: uuid.UUID) -> models.Organisation:
    """Admit an organisation to the market."""
    return _decide_organisation(organisation_id, "approve")


@blueprint.post("/organisations/<uuid:organisation_id>/reject", policy=_DECIDE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.OrganisationOut)
def reject_organisation(data: dict[str, Any], organisation_id: uuid.UUID) -> models.Organisation:
    """Turn an application down."""
    return _decide_organisation(organisation_id, "reject", **data)


@blueprint.post("/organisations/<uuid:organisation_id>/suspend", policy=_DECIDE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.OrganisationOut)
def suspend_organisation(data: dict[str, Any], organisation_id: uuid.UUID) -> models.Organisation:
    """End the access of all users and keys of an organisation, at once."""
    return _decide_organisation(organisation_id, "suspend", **data)


@blueprint.post("/organisations/<uuid:organisation_id>/reinstate", policy=_DECIDE)
@blueprint.response(200, schemas.OrganisationOut)
def reinstate_organisation(organisation_id: uuid.UUID) -> models.Organisation:
    """Let a suspended organisation take part again; its users sign in anew."""
    return _decide_organisation(organisation_id, "reinstate")


@blueprint.post("/organisations/<uuid:organisation_id>/users", policy=_MANAGE)
@blueprint.arguments(schemas.UserIn)
@blueprint.response(201, schemas.UserOut)
def create_user(data: dict[str, Any], organisation_id: uuid.UUID) -> models.User:
    """Add a user to an organisation."""
    return service.create_user(
        http.session(), organisation_id=organisation_id, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/organisations/<uuid:organisation_id>/users", policy=reads(*_MANAGERS))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.UserOut))
def list_users(page: dict[str, Any], organisation_id: uuid.UUID) -> Page[models.User]:
    """List the users of an organisation."""
    return service.list_users(http.session(), organisation_id=organisation_id, **page, actor=http.actor())


@blueprint.post("/users/<uuid:user_id>/disable", policy=_MANAGE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.UserOut)
def disable_user(data: dict[str, Any], user_id: uuid.UUID) -> models.User:
    """End a user's access, at once."""
    return service.disable_user(http.session(), user_id=user_id, **data, actor=http.actor(), at=http.at())


@blueprint.post("/users/<uuid:user_id>/enable", policy=_MANAGE)
@blueprint.response(200, schemas.UserOut)
def enable_user(user_id: uuid.UUID) -> models.User:
    """Let a disabled user sign in again."""
    return service.enable_user(http.session(), user_id=user_id, actor=http.actor(), at=http.at())


@blueprint.post("/organisations/<uuid:organisation_id>/licences", policy=_MANAGE)
@blueprint.arguments(schemas.LicenceIn)
@blueprint.response(201, schemas.LicenceOut)
def submit_licence(data: dict[str, Any], organisation_id: uuid.UUID) -> models.Licence:
    """Put a licence before the operator."""
    return service.submit_licence(
        http.session(), organisation_id=organisation_id, **data, actor=http.actor(), at=http.at()
    )


@blueprint.get("/organisations/<uuid:organisation_id>/licences", policy=signed_in())
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.LicenceOut))
def list_licences(page: dict[str, Any], organisation_id: uuid.UUID) -> Page[models.Licence]:
    """List the licences of an organisation."""
    return service.list_licences(http.session(), organisation_id=organisation_id, **page, actor=http.actor())


def _decide_licence(licence_id: uuid.UUID, verb: str, reason: str = "") -> models.Licence:
    return service.decide_licence(
        http.session(), licence_id=licence_id, verb=verb, reason=reason, actor=http.actor(), at=http.at()
    )


@blueprint.post("/licences/<uuid:licence_id>/approve", policy=_DECIDE)
@blueprint.response(200, schemas.LicenceOut)
def approve_licence(licence_id: uuid.UUID) -> models.Licence:
    """Accept a licence."""
    return _decide_licence(licence_id, "approve")


@blueprint.post("/licences/<uuid:licence_id>/reject", policy=_DECIDE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.LicenceOut)
def reject_licence(data: dict[str, Any], licence_id: uuid.UUID) -> models.Licence:
    """Turn a licence down."""
    return _decide_licence(licence_id, "reject", **data)


@blueprint.post("/licences/<uuid:licence_id>/revoke", policy=_DECIDE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.LicenceOut)
def revoke_licence(data: dict[str, Any], licence_id: uuid.UUID) -> models.Licence:
    """Withdraw the acceptance of a licence."""
    return _decide_licence(licence_id, "revoke", **data)


@blueprint.post("/organisations/<uuid:organisation_id>/api-keys", policy=_MANAGE)
@blueprint.arguments(schemas.ApiKeyIn)
@blueprint.response(201, schemas.IssuedKeyOut)
def issue_key(data: dict[str, Any], organisation_id: uuid.UUID) -> service.IssuedKey:
    """Make an API key; its secret is shown in this answer only."""
    return service.issue_key(http.session(), organisation_id=organisation_id, **data, actor=http.actor(), at=http.at())


@blueprint.get("/organisations/<uuid:organisation_id>/api-keys", policy=reads(*_MANAGERS))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.ApiKeyOut))
def list_keys(page: dict[str, Any], organisation_id: uuid.UUID) -> Page[models.ApiKey]:
    """List the API keys of an organisation, without their secrets."""
    return service.list_keys(http.session(), organisation_id=organisation_id, **page, actor=http.actor())


@blueprint.post("/api-keys/<uuid:api_key_id>/revoke", policy=_MANAGE)
@blueprint.response(200, schemas.ApiKeyOut)
def revoke_key(api_key_id: uuid.UUID) -> models.ApiKey:
    """End an API key, at once; a second time changes nothing."""
    return service.revoke_key(http.session(), api_key_id=api_key_id, actor=http.actor(), at=http.at())


@blueprint.post("/organisations/<uuid:organisation_id>/affiliates", policy=_MANAGE, idempotent=True)
@blueprint.arguments(schemas.AffiliateIn)
@blueprint.response(201, schemas.AffiliateOut)
def add_affiliate(data: dict[str, Any], organisation_id: uuid.UUID) -> models.Affiliate:
    """Name an owner, officer or member of staff; conflicts of interest are looked for by it."""
    return service.add_affiliate(
        http.session(),
        organisation_id=organisation_id,
        **data,
        vault=current().vault,
        actor=http.actor(),
        at=http.at(),
    )


@blueprint.get("/organisations/<uuid:organisation_id>/affiliates", policy=reads(*_MANAGERS))
@blueprint.arguments(PageArgs, location="query")
@blueprint.response(200, page_of(schemas.AffiliateOut))
def list_affiliates(page: dict[str, Any], organisation_id: uuid.UUID) -> Page[models.Affiliate]:
    """List who stands behind an organisation, without identity numbers."""
    return service.list_affiliates(http.session(), organisation_id=organisation_id, **page, actor=http.actor())


@blueprint.post("/affiliates/<uuid:affiliate_id>/remove", policy=_DECIDE)
@blueprint.arguments(ReasonIn)
@blueprint.response(200, schemas.AffiliateOut)
def remove_affiliate(data: dict[str, Any], affiliate_id: uuid.UUID) -> models.Affiliate:
    """Take an affiliate off, with a reason; a second time changes nothing."""
    return service.remove_affiliate(http.session(), affiliate_id=affiliate_id, **data, actor=http.actor(), at=http.at())
