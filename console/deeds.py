"""What a person does on a page: a form is read, one service is called, and the page says what came of it.

A deed that fails leaves nothing behind and shows its page again with the fault; one that succeeds leads on, so that
reloading repeats nothing.
"""

import enum
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any, Final, TypeVar

import flask
from flask import request

from console.language import mark
from marketplace import http
from marketplace.errors import Failure, Invalid, NotFound

K = TypeVar("K", bound=enum.StrEnum)

FORM_BYTES_MAX: Final = 16 * 1024

ADVICE: Final = {
    "case_went_back": mark("The case is the seller's again: its borrower is not told of the transfer any more."),
    "delivered_before_sent": mark("A notice arrives on the day it was sent or later. Correct the date."),
    "document_unknown": mark("The paper has to be a PDF, a PNG or a JPEG. Choose another file."),
    "does_not_match": mark(
        "This payment cannot be for that reference. Compare amount and currency with what is asked for."
    ),
    "field_missing": mark("Fill in every field of the form."),
    "illegal_move": mark(
        "This is not possible in its present state. Somebody may have been faster: the page now shows how it stands."
    ),
    "mistyped_share": mark("This is no share, or a character of it is wrong. Copy the whole line as it was collected."),
    "not_found": mark("There is no such thing that you can see. Check the reference."),
    "nothing_to_match": mark("Nothing of this payment is open any more."),
    "proposal_decided": mark("Somebody has decided already."),
    "same_person": mark("Another person than the one who proposed it has to decide."),
    "share_collected": mark(
        "Your share was given out already. It is given once; if it is lost, renew the key before bidding opens."
    ),
    "bidding_has_opened": mark("Bidding has opened: shares are neither given out nor renewed any more."),
    "third_party_undocumented": mark("Add a document and a reason that say why this payment counts."),
    "title_not_passed": mark("Borrowers are told once the cases are the buyer's. Wait until the deal is settled."),
    "too_early_to_open": mark("Bids are opened at the end of the auction, not before."),
    "wrong_share": mark("This is not the share that your organisation collected for this auction."),
}
"""What to do about a failure, by its code."""

OTHERWISE: Final = mark("That did not work, and nothing was changed.")


class FieldMissing(Invalid):
    """A field of a form is empty or cannot be read."""

    code = "field_missing"

    def __init__(self, name: str) -> None:
        super().__init__(f"The field {name!r} is empty or cannot be read.")
        self.name = name


def attempt(work: Callable[[], Any]) -> Failure | None:
    """Do a deed in a savepoint of the request's transaction; return the failure that undid it, None when it stands."""
    try:
        with http.session().begin_nested():
            work()
    except Failure as failure:
        return failure
    return None


def advice(failure: Failure) -> str:
    """Return what to do about a failure, to be translated."""
    return ADVICE.get(failure.code, OTHERWISE)


def done(endpoint: str, what: str, **values: Any) -> Any:
    """Lead on to a page that says what was done."""
    return flask.redirect(flask.url_for(endpoint, done=what, **values), 303)


def text(name: str, *, maximum: int = 1000) -> str:
    """Return a field of the form; raise `FieldMissing`."""
    value = request.form.get(name, "").strip()
    if not value or len(value) > maximum or not value.isprintable():
        raise FieldMissing(name)
    return value


def choice(name: str, kind: type[K]) -> K:
    """Return one of a closed list of the form; raise `FieldMissing`."""
    try:
        return kind(request.form.get(name, ""))
    except ValueError:
        raise FieldMissing(name) from None


def day(name: str) -> date:
    """Return a date of the form; raise `FieldMissing`."""
    try:
        return date.fromisoformat(request.form.get(name, ""))
    except ValueError:
        raise FieldMissing(name) from None


def key(name: str) -> uuid.UUID:
    """Return an id of the form; raise `NotFound`."""
    value = request.form.get(name, "")
    try:
        return uuid.UUID(value)
    except ValueError:
        raise NotFound(name, value) from None


def upload(name: str) -> tuple[bytes, str]:
    """Return content and name of a file of the form; raise `FieldMissing` when none was chosen."""
    brought = request.files.get(name)
    content = brought.read() if brought else b""
    if brought is None or not content:
        raise FieldMissing(name)
    return content, (brought.filename or name)[:200]
