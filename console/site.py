"""The frame of every page: routes behind the edge, templates, headers, the stylesheet, and the page of a failure.

Pages have their own template environment, strict about names that are missing. A page loads nothing from elsewhere and
runs no script but ours (Content-Security-Policy). Not here: what the pages say.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import flask
import jinja2
from flask import Response, g, request, url_for

from console import display, language, words
from console.language import mark
from marketplace import http, policies, runtime
from marketplace.actor import Actor, OrganisationKind
from marketplace.errors import Failure
from marketplace.money import Money

FOLDER: Final = Path(__file__).parent
STATIC: Final = FOLDER / "static"


def content_security_policy() -> str:
    """Return the policy: all from this host, no inline script or style, no frame; events also from the feed."""
    feed = runtime.current().settings.feed_url
    connect = "'self'" if feed is None else f"'self' {feed}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


YEAR_SECONDS: Final = 365 * 24 * 3600

pages: Final = http.Pages("console", "console")


@functools.cache
def static(name: str) -> str:
    """Return the address of a static file; it changes with the content, so browsers keep the file for good."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]
    return f"/static/{name}?v={digest}"


def static_file(name: str) -> Response:
    """Send a static file; it needs no database, so that the page of a failure has its looks."""
    response = flask.send_from_directory(STATIC, name)
    response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
    response.headers["Content-Security-Policy"] = content_security_policy()
    return response


static_file.policy = policies.public()  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
pages.add_url_rule("/static/<path:name>", view_func=static_file)


def in_language(tag: str) -> str:
    """Return the address of this page in another language."""
    return with_argument("lang", tag)


def with_argument(name: str, value: str) -> str:
    """Return the address of this page with one argument of its query set."""
    arguments = [(key, text) for key, text in request.args.items(multi=True) if key != name]
    return f"{request.path}?{urlencode([*arguments, (name, value)])}"


class Environment(jinja2.Environment):
    """Templates of the console: escaped, strict, translated."""

    def __init__(self) -> None:
        super().__init__(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        self.policies["ext.i18n.trimmed"] = True
        self.install_gettext_callables(  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
            language.gettext, language.ngettext, newstyle=True
        )
        self.filters.update(
            amount=display.amount,
            clock_time=display.clock_time,
            compact=display.compact,
            count=display.count,
            day=display.day,
            instant=display.instant,
            milliseconds=display.milliseconds,
            moment=display.moment,
            plain=display.plain,
            number=display.number,
            rate=display.rate,
        )
        self.globals.update(
            in_language=in_language,
            with_argument=with_argument,
            url_for=url_for,
            static=static,
            word=words.word,
            stratum=words.stratum,
            settled=words.settled,
            parse=Money.parse,
            tone_of=words.tone,
            money=display.money,
            axis=display.axis,
            NOTHING=display.NOTHING,
        )


environment: Final = Environment()


def render(template: str, *, status: int = 200, **values: Any) -> Response:
    """Draw a page in the reader's language."""
    actor: Actor | None = g.get("actor") or g.get("reader")
    text = environment.get_template(template).render(
        actor=actor,
        navigation=_navigation(actor),
        languages=language.LANGUAGES,
        language=language.chosen(),
        zone_key=language.zone().key,
        zone=display.zone_name(g.get("at") or runtime.current().clock.now()),
        **values,
    )
    return _finish(Response(text, status=status, mimetype="text/html"))


def _finish(response: Response) -> Response:
    chosen = language.chosen()
    response.headers["Content-Security-Policy"] = content_security_policy()
    response.headers["Content-Language"] = chosen
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "Cookie, Accept-Language"
    if request.args.get("lang") == chosen:
        set_cookie(response, language.LANGUAGE_COOKIE, chosen, seconds=YEAR_SECONDS)
    return response


def set_cookie(response: Response, name: str, value: str, *, seconds: int, readable: bool = False) -> None:
    """Set a cookie of this site; scripts see it only when `readable`."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=not readable,
        samesite="Lax",
        secure=runtime.current().settings.secure_cookies,
    )


def _navigation(actor: Actor | None) -> list[tuple[str, str, bool]]:
    """Return the main pages that this person has: address, text, whether it is this part of the site."""
    if actor is None:
        return []
    entries = [("/", "console.home", mark("Home")), ("/listings", "console.catalogue", mark("Catalogue"))]
    if actor.organisation_kind is not OrganisationKind.VALUER:
        entries.append(("/deals", "console.deals", mark("Deals")))
    if actor.sees_everything:
        entries.append(("/finance", "console.finance_desk", mark("Finance")))
    entries.append(("/markets", "console.markets", mark("Markets")))
    return [(url_for(endpoint), text, _within(prefix)) for prefix, endpoint, text in entries]


def _within(prefix: str) -> bool:
    return request.path == prefix or (prefix != "/" and request.path.startswith(prefix + "/"))


_ADVICE: Final = {
    403: (
        mark("Not for this role"),
        mark("Your role does not include this page. Ask the manager of your organisation."),
    ),
    404: (
        mark("Not found"),
        mark("There is nothing here that you can see. Check the address, or start again from the catalogue."),
    ),
    429: (mark("Too often"), mark("Wait a little before you try again.")),
    500: (mark("A fault of ours"), mark("It was logged. Nothing was changed; try again, or come back later.")),
    503: (mark("Busy"), mark("A part of the market does not answer just now. Nothing was done; try again.")),
}
_OTHERWISE: Final = (mark("That did not work"), mark("Nothing was changed. Go back and try again."))


def error_page(failure: Failure) -> Any:
    """Answer a failure with a page that says what to do; who is not signed in is led to the sign-in page."""
    if failure.status == 401 and request.method == "GET":  # noqa: PLR2004 - not signed in
        why = "ended" if request.cookies.get(http.COOKIE) else None
        form = url_for("console.sign_in", next=request.full_path.rstrip("?"), why=why)
        return _finish(flask.redirect(form, 303))  # type: ignore[arg-type]  # wider in the library than in its stubs
    title, advice = _ADVICE.get(failure.status, _OTHERWISE)
    return render("error.html", status=failure.status, title=title, advice=advice, failure=failure)
