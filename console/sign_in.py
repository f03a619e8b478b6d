"""Signing in and out. The session is the one of the API; `parties` counts the attempts and decides."""

from typing import Any, Final

import flask
from flask import Response, request, url_for

from console import site
from console.language import mark
from console.site import pages
from marketplace import http, policies
from marketplace.errors import Failure, Refused, TooMany
from marketplace.parties import service as parties

LOGIN_LENGTH_MAX: Final = 64
FORM_BYTES_MAX: Final = 16 * 1024


class ForeignForm(Refused):
    """The sign-in form was sent by a page of another site."""

    code = "cross_site"

    def __init__(self) -> None:
        super().__init__("The form came from another site; nothing was done.")


@pages.route("/sign-in", policy=policies.public())
def sign_in() -> Any:
    """Show the sign-in form; who is signed in goes on."""
    onward = _onward(request.args.get("next"))
    if http.visitor() is not None:
        return flask.redirect(onward, 303)
    notices = {
        "out": mark("You are signed out."),
        "ended": mark("Your session has ended. Sign in again to go on."),
    }
    return site.render(
        "sign_in.html", onward=onward, login="", fault=None, notice=notices.get(request.args.get("why", ""))
    )


@pages.route("/sign-in", methods=["POST"], endpoint="enter", policy=policies.public(), max_bytes=FORM_BYTES_MAX)
def enter() -> Any:
    """Open a session, or say why not; a wrong attempt is counted."""
    _refuse_foreign_form()
    onward = _onward(request.form.get("next"))
    login, password = request.form.get("login", "").strip(), request.form.get("password", "")
    if not login or not password:
        return _again(login, onward, mark("Enter your login and your password."), status=422)
    if len(login) > LOGIN_LENGTH_MAX or not (login + password).isprintable():
        return _again("", onward, _WRONG, status=401)
    try:
        outcome = parties.sign_in(
            http.session(), login=login, password=password, address=request.remote_addr or "", at=http.at()
        )
    except TooMany as failure:
        return _again(login, onward, _TOO_OFTEN, status=failure.status)
    if isinstance(outcome, Failure):
        return _again(login, onward, _WRONG, status=outcome.status)
    response: Response = flask.redirect(onward, 303)  # type: ignore[assignment]  # a subclass at run time
    lifetime = outcome.expires_at - http.at()
    site.set_cookie(response, http.COOKIE, outcome.token, seconds=int(lifetime.total_seconds()))
    return response


_WRONG: Final = mark(
    "Login or password is wrong, or access has ended. Check both; after several failures you must wait."
)
_TOO_OFTEN: Final = mark("Signing in failed too often. Wait a quarter of an hour, then try again.")


def _again(login: str, onward: str, fault: str, *, status: int) -> Response:
    return site.render("sign_in.html", status=status, onward=onward, login=login, fault=fault, notice=None)


def _refuse_foreign_form() -> None:
    """Refuse a form of another site: it would sign somebody in as its author."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise ForeignForm


def _onward(wish: str | None) -> str:
    """Return where to go after signing in: a path of this site, never another site."""
    if wish and wish.startswith("/") and not wish.startswith(("//", "/\\")) and wish.isprintable():
        return wish
    return url_for("console.home")


@pages.route("/sign-out", methods=["POST"], policy=policies.signed_in(), max_bytes=FORM_BYTES_MAX)
def sign_out() -> Any:
    """End the session."""
    parties.sign_out(http.session(), token=http.token(), actor=http.actor(), at=http.at())
    response: Response = flask.redirect(url_for("console.sign_in", why="out"), 303)  # type: ignore[assignment]  # a subclass at run time
    response.delete_cookie(http.COOKIE)
    return response
