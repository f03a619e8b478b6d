"""What the parties' routes take in and give out."""

import enum
from typing import Any

import marshmallow as ma

from marketplace.actor import OrganisationKind, Role, Scope
from marketplace.fields import Choice, Day, Id, Instant, Schema, Text
from marketplace.parties.domain import LicenceKind, LicenceState, OrganisationState, UserState
from marketplace.parties.domain.affiliates import AffiliateKind
from marketplace.parties.domain.credentials import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN


class SetOf(ma.fields.List[Any]):
    """A set of enum members as a sorted list of their values."""

    def __init__(self, kind: type[enum.StrEnum], **kwargs: Any) -> None:
        super().__init__(Choice(kind), **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> list[Any] | None:
        return super()._serialize(None if value is None else sorted(value), attr, obj, **kwargs)


class SignInIn(Schema):
    """Who wants in."""

    login = Text(maximum=64, required=True)
    password = Text(maximum=PASSWORD_LENGTH_MAX, required=True, load_only=True)


class ActorOut(Schema):
    """Who is acting; `user_id` is null for an API key and the reverse."""

    user_id = Id(allow_none=True, required=True)
    api_key_id = Id(allow_none=True, required=True)
    name = ma.fields.String(required=True)
    organisation_id = Id(required=True)
    organisation_kind = Choice(OrganisationKind, required=True)
    roles = SetOf(Role, required=True)
    scopes = SetOf(Scope, required=True)


class SignedInOut(Schema):
    """A new session. The token is shown once and goes into `Authorization: Bearer …`."""

    token = ma.fields.String(required=True)
    expires_at = Instant(required=True)
    actor = ma.fields.Nested(ActorOut, required=True)


class PasswordChangeIn(Schema):
    """One's old and new password."""

    current_password = Text(maximum=PASSWORD_LENGTH_MAX, required=True, load_only=True)
    new_password = Text(minimum=PASSWORD_LENGTH_MIN, maximum=PASSWORD_LENGTH_MAX, required=True, load_only=True)


class OrganisationIn(Schema):
    """An application to take part."""

    name = Text(required=True)
    kind = Choice(OrganisationKind, required=True)
    country = Text(minimum=2, maximum=2, pattern="[A-Z]{2}", load_default="CN", metadata={"example": "CN"})
    uscc = Text(minimum=18, maximum=18, load_default=None, allow_none=True)
    lei = Text(minimum=20, maximum=20, load_default=None, allow_none=True)
    province = Text(minimum=2, maximum=2, pattern="[0-9]{2}", load_default=None, allow_none=True)


class OrganisationOut(Schema):
    """A participant. `province` is the two-digit code of GB/T 2260."""

    id = Id(required=True)
    name = ma.fields.String(required=True)
    kind = Choice(OrganisationKind, required=True)
    state = Choice(OrganisationState, required=True)
    country = ma.fields.String(required=True)
    uscc = ma.fields.String(allow_none=True, required=True)
    lei = ma.fields.String(allow_none=True, required=True)
    province = ma.fields.String(allow_none=True, required=True)
    created_at = Instant(required=True)


class UserIn(Schema):
    """A new user with its first password."""

    login = Text(minimum=3, maximum=64, required=True)
    name = Text(maximum=100, required=True)
    roles = ma.fields.List(Choice(Role), required=True, validate=ma.validate.Length(min=1, max=len(Role)))
    password = Text(minimum=PASSWORD_LENGTH_MIN, maximum=PASSWORD_LENGTH_MAX, required=True, load_only=True)


class UserOut(Schema):
    """A person of an organisation."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    login = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    state = Choice(UserState, required=True)
    roles = ma.fields.List(ma.fields.String(), required=True)
    created_at = Instant(required=True)


class LicenceIn(Schema):
    """A licence; it holds on days from `valid_from_on` up to, not including, `valid_until_on` (null: without end)."""

    kind = Choice(LicenceKind, required=True)
    number = Text(maximum=100, required=True)
    issuer = Text(required=True)
    valid_from_on = Day(required=True)
    valid_until_on = Day(load_default=None, allow_none=True)


class LicenceOut(Schema):
    """A licence as submitted and decided."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    kind = Choice(LicenceKind, required=True)
    state = Choice(LicenceState, required=True)
    number = ma.fields.String(required=True)
    issuer = ma.fields.String(required=True)
    valid_from_on = Day(required=True)
    valid_until_on = Day(allow_none=True, required=True)
    created_at = Instant(required=True)


class ApiKeyIn(Schema):
    """What a new key may do and until when (at most 366 days ahead)."""

    name = Text(maximum=100, required=True)
    roles = ma.fields.List(Choice(Role), required=True, validate=ma.validate.Length(min=1, max=len(Role)))
    scopes = ma.fields.List(Choice(Scope), required=True, validate=ma.validate.Length(min=1, max=len(Scope)))
    expires_at = Instant(required=True)


class ApiKeyOut(Schema):
    """A key without its secret; `prefix` is how to recognise it."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    name = ma.fields.String(required=True)
    prefix = ma.fields.String(required=True)
    roles = ma.fields.List(ma.fields.String(), required=True)
    scopes = ma.fields.List(ma.fields.String(), required=True)
    created_at = Instant(required=True)
    expires_at = Instant(required=True)
    revoked_at = Instant(allow_none=True, required=True)


class IssuedKeyOut(Schema):
    """A new key. The secret is shown this once and goes into `Authorization: Bearer …`."""

    key = ma.fields.Nested(ApiKeyOut, required=True)
    secret = ma.fields.String(required=True)


class AffiliateIn(Schema):
    """Somebody who stands behind an organisation; owners and officers with their identity number or company code."""

    kind = Choice(AffiliateKind, required=True)
    name = Text(maximum=200, required=True)
    identity_number = Text(maximum=40, load_default=None, allow_none=True)


class AffiliateOut(Schema):
    """An affiliate. The identity number is kept sealed and never shown."""

    id = Id(required=True)
    organisation_id = Id(required=True)
    kind = Choice(AffiliateKind, required=True)
    name = ma.fields.String(required=True)
    created_at = Instant(required=True)
    removed_at = Instant(allow_none=True, required=True)
