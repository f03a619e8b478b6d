"""Workers that die: a call to the outside that says where it is at each step, so that a test ends its worker there."""

from collections.abc import Callable
from typing import Any

from marketplace.errands import Kind
from marketplace.module import PeriodicCall

POINTS = ("intent", "call", "answer", "outcome")
"""Before the claim is committed, before the call, after the call, before the outcome is committed."""


def mortal(kind: Kind, at: Callable[[str], None]) -> Kind:
    """The same errand; `at` is told each of `POINTS`, and may not return."""

    def prepare(session: Any, subject: str, **more: Any) -> Any:
        plan = kind.prepare(session, subject, **more)
        session.flush()
        at("intent")
        return plan

    def call(plan: Any) -> Any:
        at("call")
        outcome = kind.call(plan)
        at("answer")
        return outcome

    def record(session: Any, plan: Any, **more: Any) -> None:
        kind.record(session, plan, **more)
        session.flush()
        at("outcome")

    return Kind(prepare, call, record)


def mortal_call(work: PeriodicCall, at: Callable[[str], None]) -> PeriodicCall:
    """The same piece of clockwork; `at` is told each of `POINTS`, and may not return."""

    def claim(session: Any, now: Any) -> Any:
        claimed = work.claim(session, now)
        session.flush()
        at("intent")
        return claimed

    def call(claimed: Any) -> Any:
        at("call")
        outcome = work.call(claimed)
        at("answer")
        return outcome

    def record(session: Any, **more: Any) -> Any:
        found = work.record(session, **more)
        session.flush()
        at("outcome")
        return found

    return PeriodicCall(work.name, claim, call, record, seconds=work.seconds)
