"""Notices of assignment: which borrower of a deal was told, how, and what proves it; the seller records each step."""

import uuid
from typing import Any, Final

from flask import request

from console import deeds, site
from console.language import mark
from console.site import pages
from marketplace import http
from marketplace.actor import Role
from marketplace.errors import Failure, Invalid
from marketplace.policies import allow, reads
from settlement import service as settlement
from settlement.service import assignment_notices

PAGE: Final = 25
PROOF_BYTES_MAX: Final = 10 * 1024 * 1024 + deeds.FORM_BYTES_MAX

_PARTIES = reads(Role.SELLER_MANAGER, Role.SELLER_AGENT, Role.BUYER_BIDDER, Role.BUYER_ANALYST)
_SELLER = allow(Role.SELLER_MANAGER)

_DONE: Final = {
    "write": mark("The notices are being written. Reload the page to see them."),
    "send": mark("It is recorded how the notice was sent."),
    "deliver": mark("The delivery is recorded: from that day the transfer binds the borrower."),
    "return": mark("It is recorded that the notice came back. It can be sent again, another way."),
    "prove": mark("The paper is kept with the notice."),
}


@pages.route("/deals/<uuid:deal_id>/assignment-notices", policy=_PARTIES)
def notices(deal_id: uuid.UUID) -> Any:
    """List the notices of a deal."""
    return _page(deal_id)


@pages.route(
    "/deals/<uuid:deal_id>/assignment-notices",
    methods=["POST"],
    endpoint="record_notice",
    policy=_SELLER,
    max_bytes=PROOF_BYTES_MAX,
)
def record_notice(deal_id: uuid.UUID) -> Any:
    """Record what the form's button says: written, sent, delivered, come back, proven."""
    deed = request.form.get("deed", "")
    if deed not in _DEEDS:
        raise Invalid(f"There is no deed {deed[:20]!r}; there are {', '.join(_DEEDS)}.")
    failure = deeds.attempt(lambda: _DEEDS[deed](deal_id))
    if failure is not None:
        return _page(deal_id, failure=failure)
    return deeds.done("console.notices", deed, deal_id=deal_id, state=request.form.get("state") or None)


def _write(deal_id: uuid.UUID) -> None:
    assignment_notices.enqueue(http.session(), deal_id=deal_id, actor=http.actor(), at=http.at())


def _send(_deal_id: uuid.UUID) -> None:
    assignment_notices.send(
        http.session(),
        notice_id=deeds.key("notice"),
        channel=deeds.choice("channel", settlement.DeliveryChannel),
        on=deeds.day("on"),
        proof=deeds.text("proof"),
        actor=http.actor(),
        at=http.at(),
    )


def _deliver(_deal_id: uuid.UUID) -> None:
    assignment_notices.deliver(
        http.session(),
        notice_id=deeds.key("notice"),
        on=deeds.day("on"),
        proof=deeds.text("proof"),
        actor=http.actor(),
        at=http.at(),
    )


def _return(_deal_id: uuid.UUID) -> None:
    assignment_notices.send_back(
        http.session(), notice_id=deeds.key("notice"), reason=deeds.text("reason"), actor=http.actor(), at=http.at()
    )


def _prove(_deal_id: uuid.UUID) -> None:
    content, name = deeds.upload("file")
    assignment_notices.keep_proof(
        http.session(), notice_id=deeds.key("notice"), content=content, name=name, actor=http.actor(), at=http.at()
    )


_DEEDS: Final = {"write": _write, "send": _send, "deliver": _deliver, "return": _return, "prove": _prove}


def _page(deal_id: uuid.UUID, *, failure: Failure | None = None) -> Any:
    session, actor = http.session(), http.actor()
    wanted = request.args.get("state", "")
    state = settlement.NoticeState(wanted) if wanted in list(settlement.NoticeState) else None
    row = settlement.get_deal(session, deal_id, actor=actor)
    return site.render(
        "notices.html",
        status=200 if failure is None else failure.status,
        deal=row,
        view=settlement.with_names(session, [row])[0],
        counts=assignment_notices.count_by_state(session, deal_id=deal_id, actor=actor),
        notices=assignment_notices.list_notices(
            session, deal_id=deal_id, state=state, cursor=request.args.get("cursor"), limit=PAGE, actor=actor
        ),
        states=list(settlement.NoticeState),
        channels=list(settlement.DeliveryChannel),
        wanted=state,
        may_record=Role.SELLER_MANAGER in actor.roles,
        may_read=bool({Role.SELLER_MANAGER, Role.BUYER_BIDDER} & actor.roles),
        failure=failure,
        advice=failure and deeds.advice(failure),
        done=_DONE.get(request.args.get("done", "")) if failure is None else None,
    )
