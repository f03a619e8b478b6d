"""Finance's queues: payments of somebody else than the buyer, and deposits that are to go back by a deadline."""

from typing import Any, Final

from flask import request

from console import deeds, site
from console.language import mark
from console.site import pages
from marketplace import http, runtime
from marketplace.actor import Role
from marketplace.errors import Failure, Invalid
from marketplace.parties import service as parties
from marketplace.policies import allow, reads
from settlement import service as settlement

PAGE: Final = 25
DOCUMENT_BYTES_MAX: Final = 10 * 1024 * 1024 + deeds.FORM_BYTES_MAX

_DECIDE = allow(Role.OPERATOR_FINANCE, Role.OPERATOR_ADMIN)

_DONE: Final = {
    "propose": mark("Proposed. Another person has to accept it."),
    "approve": mark("Accepted: the payment counts."),
    "refuse": mark("The proposal is turned down; the payment is open again."),
    "refund": mark("The return is proposed as a payment order to the account that it came from."),
}


@pages.route("/finance", policy=reads())
def finance_desk() -> Any:
    """Show what waits at finance's desk."""
    session = http.session()
    due = settlement.releases_due(session, at=http.at())
    return site.render(
        "desk.html",
        due=len(due),
        overdue=sum(one.is_overdue for one in due),
        payers=len(_waiting(None).items),
        page=PAGE,
    )


def _waiting(cursor: str | None) -> Any:
    wanted = settlement.LineFilter(only_open=True, finding=settlement.Finding.THIRD_PARTY_PAYER)
    return settlement.list_lines(http.session(), wanted=wanted, cursor=cursor, limit=PAGE)


@pages.route("/finance/third-party-payers", policy=reads())
def payers() -> Any:
    """List payments that somebody else than the registered buyer made, and who decided what about them."""
    return _payers()


@pages.route(
    "/finance/third-party-payers",
    methods=["POST"],
    endpoint="decide_payer",
    policy=_DECIDE,
    max_bytes=DOCUMENT_BYTES_MAX,
)
def decide_payer() -> Any:
    """Propose to accept a payment, accept or turn down what another person proposed, or send the money back."""
    deed = request.form.get("deed", "")
    if deed not in _DEEDS:
        raise Invalid(f"There is no deed {deed[:20]!r}; there are {', '.join(_DEEDS)}.")
    if deed in _OF_FINANCE and Role.OPERATOR_FINANCE not in http.actor().roles:
        raise Invalid("Only finance proposes and returns payments; an administrator decides about proposals.")
    failure = deeds.attempt(_DEEDS[deed])
    return _payers(failure=failure) if failure is not None else deeds.done("console.payers", deed)


def _propose() -> None:
    session, actor, at = http.session(), http.actor(), http.at()
    line_id, reference, reason = deeds.key("line"), deeds.text("reference", maximum=60), deeds.text("reason")
    content, name = deeds.upload("file")
    store = runtime.current().files
    kept = settlement.keep_document(
        session, store=store, line_id=line_id, content=content, name=name, actor=actor, at=at
    )
    settlement.match_line(
        session,
        line_id=line_id,
        reference=reference,
        parts=(),
        rung=None,
        document_id=kept.id,
        reason=reason,
        actor=actor,
        at=at,
    )


def _approve() -> None:
    _decide(approved=True, reason="")


def _refuse() -> None:
    _decide(approved=False, reason=deeds.text("reason"))


def _decide(*, approved: bool, reason: str) -> None:
    settlement.decide(
        http.session(),
        proposal_id=deeds.key("proposal"),
        approved=approved,
        reason=reason,
        actor=http.actor(),
        at=http.at(),
    )


def _refund() -> None:
    settlement.refund_line(
        http.session(), line_id=deeds.key("line"), reason=deeds.text("reason"), actor=http.actor(), at=http.at()
    )


_DEEDS: Final = {"propose": _propose, "approve": _approve, "refuse": _refuse, "refund": _refund}
_OF_FINANCE: Final = frozenset({"propose", "refund"})


def _payers(*, failure: Failure | None = None) -> Any:
    actor = http.actor()
    return site.render(
        "payers.html",
        status=200 if failure is None else failure.status,
        lines=_waiting(request.args.get("cursor")),
        may_propose=Role.OPERATOR_FINANCE in actor.roles,
        may_decide=bool({Role.OPERATOR_FINANCE, Role.OPERATOR_ADMIN} & actor.roles),
        person=actor.user_id,
        failure=failure,
        advice=failure and deeds.advice(failure),
        done=_DONE.get(request.args.get("done", "")) if failure is None else None,
    )


@pages.route("/finance/releases", policy=reads())
def releases() -> Any:
    """List the deposits that are to go back, by deadline, and the alerts of those that were late."""
    session = http.session()
    due = settlement.releases_due(session, at=http.at())
    alerts = settlement.list_alerts(session, cursor=request.args.get("cursor"), limit=PAGE)
    still = {one.registration_id for one in due}
    return site.render(
        "releases.html",
        due=due,
        names=parties.organisation_names(session, {one.organisation_id for one in due}),
        alerts=alerts,
        still=still,
        now=http.at(),
    )
