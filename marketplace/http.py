"""The HTTP edge: one request is one transaction, committed before the answer leaves.

`Blueprint` (API) and `Pages` (console) wrap every view: open the session, authenticate, check the route's policy, run,
commit. Failures become RFC 9457 problem documents in one place. A GET runs in a read-only transaction.
"""

import functools
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Final

import flask
import flask_smorest
import structlog
from flask import Flask, Response, g, request
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from webargs import core
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from marketplace import bodies, db, documents, idempotency, policies, runtime
from marketplace.actor import Actor
from marketplace.errors import Conflict, Failure
from marketplace.policies import NotSignedIn, Policy, credential

log = structlog.get_logger(__name__)

COOKIE: Final = policies.COOKIE
UnsupportedMediaType: Final = bodies.UnsupportedMediaType
DEFAULT_MAX_BYTES: Final = 1024 * 1024
_SAFE: Final = {"GET", "HEAD", "OPTIONS"}


class VersionConflict(Conflict):
    """Somebody changed the thing in between."""

    status = 412
    code = "version_conflict"

    def __init__(self) -> None:
        super().__init__("It was changed in between: read it again and send its ETag in If-Match.")


def session() -> Session:
    """Return the session of this request."""
    return g.session  # type: ignore[no-any-return]  # Any by its library


def actor() -> Actor:
    """Return who is acting; raise `NotSignedIn` on a public route without a credential."""
    if g.actor is None:
        raise NotSignedIn
    return g.actor  # type: ignore[no-any-return]  # Any by its library


def visitor() -> Actor | None:
    """Return who is acting on a public route, None when nobody is signed in."""
    return g.actor  # type: ignore[no-any-return]  # Any by its library


def token() -> str:
    """Return the credential that came with this request, empty when none did."""
    return g.token  # type: ignore[no-any-return]  # Any by its library


def at() -> datetime:
    """Return the instant of this request: read once, aware, UTC."""
    return g.at  # type: ignore[no-any-return]  # Any by its library


def end_transaction() -> None:
    """Commit what this request has done and let its connection go, before another system is asked.

    What follows in the view is a new transaction, which the edge ends as ever.
    """
    session().commit()


def require_match(version: int) -> None:
    """Check `If-Match` against the version of the row to be edited; raise `VersionConflict`."""
    if not request.if_match.contains(str(version)):
        raise VersionConflict


def etag(version: int) -> dict[str, str]:
    """Headers that carry a row's version."""
    return {"ETag": f'"{version}"'}


def download(content: bytes, *, name: str, media_type: str, inline: bool = False) -> Response:
    """Answer with a file; `name` may be Chinese."""
    response = Response(content, mimetype=media_type)
    response.headers.set("Content-Disposition", "inline" if inline else "attachment", filename=name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def accepted(job_id: uuid.UUID) -> Response:
    """Answer that a job was asked for (202), with its address; documented by `alt_response(202, fields.JobAsked)`."""
    response: Response = flask.make_response({"job_id": str(job_id)})
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/jobs/{job_id}"
    return response


def problem_response(failure: Failure) -> Response:
    """Render a failure. A view that *returns* it keeps what it wrote (a wrong password counted); raising rolls back."""
    document = documents.problem(failure) | {"instance": request.path}
    response: Response = flask.make_response(document)
    response.status_code = failure.status
    response.mimetype = "application/problem+json"
    if failure.status == 401:  # noqa: PLR2004 - RFC 9110 wants the challenge with this status
        response.headers["WWW-Authenticate"] = "Bearer"
    if "retry_after" in failure.values:
        response.headers["Retry-After"] = str(failure.values["retry_after"])
    return response


def _edge(view: Callable[..., Any], *, policy: Policy, idempotent: bool, max_bytes: int) -> Callable[..., Response]:
    @functools.wraps(view)
    def call(**arguments: Any) -> Response:
        request.max_content_length = max_bytes
        running = runtime.current()
        g.at = running.clock.now()
        with running.sessions() as opened:
            g.session = opened
            try:
                if request.method in _SAFE:
                    opened.connection(execution_options={"postgresql_readonly": True})
                response = _admitted(view, arguments, policy=policy, idempotent=idempotent)
                opened.commit()
            except IntegrityError as error:
                opened.rollback()
                failure = db.explain(error)
                if failure is None:
                    raise
                raise failure from error
            if opened.info.pop("wake", False):
                running.wake()
        return response

    call.policy = policy  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
    return call


def _admitted(view: Callable[..., Any], arguments: dict[str, Any], *, policy: Policy, idempotent: bool) -> Response:
    g.reader = _authenticate()
    g.actor = policy.admit(g.reader, reading=request.method in _SAFE)

    def work() -> Response:
        return flask.make_response(view(**arguments))

    if idempotent:
        return idempotency.answer_once(session(), request, actor=actor(), at=at(), work=work)
    return work()


def _authenticate() -> Actor | None:
    token = credential(
        authorization=request.headers.get("Authorization", ""),
        cookie=request.cookies.get(COOKIE, ""),
        safe=request.method in _SAFE,
        origin=request.headers.get("Origin"),
        fetch_site=request.headers.get("Sec-Fetch-Site"),
        homes=(f"{request.scheme}://{request.host}",),
    )
    g.token = token
    if not token:
        return None
    for module in runtime.current().modules:
        if module.authenticate is not None:
            return module.authenticate(session(), token, at=at())
    return None


class _Parser(FlaskParser):  # type: ignore[misc]  # its library has no types
    """Reads bodies strictly: only JSON, no NaN, no key twice, no unknown query keys; no body at all is an empty one."""

    DEFAULT_UNKNOWN_BY_LOCATION: ClassVar[dict[str, str | None]] = {
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": "raise",
    }

    def _raw_load_json(self, req: flask.Request) -> Any:
        if not req.mimetype and not req.get_data(cache=True):
            return core.missing  # no body at all is one without values
        return bodies.parse(req.get_data(cache=True), mimetype=req.mimetype)


class _Edged:
    """Mixin: a route needs a policy and gets the edge around its view."""

    def route(
        self,
        rule: str,
        *,
        policy: Policy,
        idempotent: bool = False,
        max_bytes: int = DEFAULT_MAX_BYTES,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a view behind the edge."""

        def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
            edged = _edge(view, policy=policy, idempotent=idempotent, max_bytes=max_bytes)
            edged = self._documented(edged, policy=policy, idempotent=idempotent)
            super(_Edged, self).route(rule, **options)(edged)  # type: ignore[misc]  # its library has no types
            return view

        return decorator

    def _documented(self, view: Callable[..., Any], *, policy: Policy, idempotent: bool) -> Callable[..., Any]:
        """Describe the view in the OpenAPI document; pages are not in it."""
        del policy, idempotent
        return view


class Blueprint(_Edged, flask_smorest.Blueprint):  # type: ignore[misc]  # its library has no types
    """API routes of a package, under /api/v1."""

    ARGUMENTS_PARSER = _Parser()

    def __init__(self, name: str, *, description: str) -> None:
        super().__init__(name, f"{name}.api", url_prefix="/api/v1", description=description)

    def download(self, *media_types: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Document that a route answers with a file."""
        content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
        return self.doc(responses={"200": {"description": "The file", "content": content}})  # type: ignore[no-any-return]  # Any by its library

    def _documented(self, view: Callable[..., Any], *, policy: Policy, idempotent: bool) -> Callable[..., Any]:
        extra: dict[str, Any] = {"security": [] if policy.open_to_all else [{"bearer": []}, {"cookie": []}]}
        if policy.roles is not None:
            extra["x-roles"] = sorted(policy.roles)
        if idempotent:
            extra["parameters"] = [dict(idempotency.PARAMETER)]
        documented = self.doc(**extra)(view)
        documented.policy = policy
        return documented  # type: ignore[no-any-return]  # Any by its library


class Pages(_Edged, flask.Blueprint):  # type: ignore[misc]  # its library has no types
    """Pages for people."""


def register_errors(app: Flask) -> None:
    """Map failures, HTTP errors and bugs to answers."""

    def render(failure: Failure) -> Any:
        page = app.extensions.get("error_page")
        if page is not None and not request.path.startswith("/api/"):
            return page(failure)
        return problem_response(failure)

    def on_http(error: HTTPException) -> Any:
        if error.code is None or error.code < 400:  # noqa: PLR2004 - redirects are not failures
            return error
        response = flask.make_response(render(_from_http(error)))
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
        return response

    def on_operational(error: OperationalError) -> Any:
        return render(db.Busy()) if db.is_busy(error) else on_bug(error)

    def on_bug(error: Exception) -> Any:
        log.error("bug", path=request.path, exc_info=error)
        bug = Failure("This is a fault of ours; it was logged.")
        bug.status, bug.code = 500, "internal"  # type: ignore[misc]  # its library has no types
        return render(bug)

    app.register_error_handler(Failure, render)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(OperationalError, on_operational)
    app.register_error_handler(Exception, on_bug)


def _from_http(error: HTTPException) -> Failure:
    messages = (getattr(error, "data", None) or {}).get("messages")
    if messages is not None:
        located = messages if isinstance(messages, dict) else {"": messages}
        return bodies.invalid(list(located.values()))
    failure = Failure(error.description or error.name)
    failure.status = error.code or 500  # type: ignore[misc]  # its library has no types
    failure.code = error.name.lower().replace(" ", "_")  # type: ignore[misc]  # its library has no types
    return failure
