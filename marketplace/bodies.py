"""JSON bodies, read strictly and alike by every door: UTF-8, no NaN, no key twice, no unknown key."""

from typing import Any

import marshmallow as ma
from webargs import core

from marketplace import documents
from marketplace.errors import Invalid


class UnsupportedMediaType(Invalid):
    """The body is not of a kind that the route takes."""

    status = 415
    code = "unsupported_media_type"

    def __init__(self, found: str) -> None:
        super().__init__(f"Send application/json in UTF-8 here, not {found[:60] or 'nothing'!r}.")


class MalformedJson(Invalid):
    """The body is not JSON."""

    status = 400
    code = "malformed_json"


class RequestInvalid(Invalid):
    """The values of a request do not fit its schema; `errors` name each place."""

    code = "request_invalid"


def parse(content: bytes, *, mimetype: str) -> Any:
    """Return the JSON value of a body; raise `UnsupportedMediaType`, `MalformedJson`."""
    if not core.is_json(mimetype):
        raise UnsupportedMediaType(mimetype)
    try:
        return documents.parse(content)
    except documents.BadDocument as failure:
        raise MalformedJson(failure.detail, errors=failure.errors) from None


def load(schema: ma.Schema, content: bytes, *, mimetype: str) -> dict[str, Any]:
    """Return the values of a body as the schema reads them; raise also `RequestInvalid`."""
    try:
        loaded: dict[str, Any] = schema.load(parse(content, mimetype=mimetype))
    except ma.ValidationError as error:
        raise invalid([error.messages]) from None
    return loaded


def invalid(messages: list[Any]) -> RequestInvalid:
    """Return the failure behind marshmallow's messages, one error with a JSON pointer for each."""
    errors = [item for part in messages for item in _errors(part)]
    return RequestInvalid("Some values do not fit; see errors.", errors=errors)


def _errors(messages: Any, pointer: str = "") -> list[dict[str, Any]]:
    if isinstance(messages, dict):
        return [error for key, value in messages.items() for error in _errors(value, f"{pointer}/{_escape(key)}")]
    texts = messages if isinstance(messages, list) else [messages]
    return [{"pointer": pointer.removesuffix("/_schema"), "detail": str(text)} for text in texts]


def _escape(key: object) -> str:
    return documents.encodable(str(key)[:80]).replace("~", "~0").replace("/", "~1")
