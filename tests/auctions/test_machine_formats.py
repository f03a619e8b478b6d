"""Any order of bids, raises, ticks, closes, crashes, suspensions and voids, in each of the nine formats.

The engine against the reference of whole documents, step by step: each format's model is a class of less than a hundred
lines, written from the text of the file format. A crash loads the play from its dump. The open formats have a machine
of their own with more detail, also over PostgreSQL: `test_machine`, `test_machine_service`.
"""

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from auctions.domain.formats import Event, WholeLogNeeded
from auctions.domain.replay import read_rules
from marketplace.clock import parse_instant
from marketplace.documents import Node
from tests.auctions.documents_random import BIDDERS, FORMATS, KINDS, OPENS, Choice, Draft
from tests.auctions.reference_documents import instant, milliseconds

MOST_SETS = 8
"""So many attempts on sets of lots: the reference tries every set of them."""
SOURCES = st.randoms(use_true_random=False)
NAMES = st.sampled_from(BIDDERS)
LIMITS = settings(max_examples=60, stateful_step_count=25, deadline=None)


def moment(at):
    return parse_instant(instant(at))


def shown(answer):
    """An engine's answer in the words of the reference."""
    values = {
        "accepted": answer.accepted, "code": answer.code and answer.code.value, "sequence": answer.sequence,
        "price": answer.price, "leader": answer.leader, "minimum_next": answer.minimum_next,
        "ends_at": answer.ends_at and milliseconds(answer.ends_at.isoformat()),
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


class Machine(RuleBasedStateMachine):
    """One auction of a format, played by the engine and by the reference; `events` is the log for a new start."""

    form = "english"

    @initialize(source=SOURCES)
    def open(self, source):
        self.draft = Draft(Choice(source), self.form)
        self.model = self.draft.auction
        self.book = read_rules(Node(self.draft.rules, "/rules"))
        self.play, self.events, self.now = self.book.start(), [], OPENS

    def take(self, event):
        """Both take an event as the file has it and give the same answer; a look changes nothing and says as much."""
        words = self.draft.words
        amount = None if event.get("amount") is None else words.read(event["amount"])
        seen = event["kind"] == "accept"
        taken = Event(
            moment(self.now), event["kind"], event.get("bidder", ""), 0 if seen or amount is None else amount,
            seen=amount if seen else None, lots=tuple(event.get("lots", ())),
        )  # fmt: skip
        self.events.append(taken)
        operates = event["kind"] in {"suspend", "resume", "void"}
        looked = None if operates else self.play.look(taken)
        answer = self.step(taken)
        assert operates or looked == (None if answer.accepted else answer)
        assert shown(answer) == {
            name: value for name, value in self.model.take(self.now, event).items() if value is not None
        }

    def step(self, taken):
        try:
            return self.play.step(taken)
        except WholeLogNeeded:
            assert taken.kind == "void"
            self.play = self.book.start()
            return [self.play.step(each) for each in self.events][-1]

    def attempt(self, source, who):
        if self.form == "package" and len(self.model.log) >= MOST_SETS:
            return
        self.draft.choice = choice = Choice(source)
        event = {"kind": choice.of(*KINDS[self.form]), "bidder": who}
        if event["kind"] in {"bid", "maximum"}:
            event["amount"] = self.draft.amount()
        if event["kind"] == "bid" and self.form == "package":
            event |= self.draft.lots()
        self.take(event)

    @rule(source=SOURCES, who=NAMES, later=st.integers(0, 5_000))
    def bid(self, source, who, later):
        self.now += later
        self.attempt(source, who)

    @rule(source=SOURCES, again=st.integers(0, 3))
    def raise_(self, source, again):
        """Somebody who has bid changes its bid, or accepts again."""
        bidders = [row[0] for row in self.model.log]
        if bidders:
            self.attempt(source, bidders[-1 - again % len(bidders)])

    @rule(source=SOURCES)
    def tick(self, source):
        self.draft.choice = Choice(source)
        self.now = max(self.now, self.draft.moment(self.now))

    @rule(source=SOURCES, who=NAMES, offset=st.sampled_from([-1, 0, 0, 1]), luck=st.integers(0, 3))
    def edge(self, source, who, offset, luck):
        """An attempt about the end."""
        if not luck:
            self.now = max(self.now, self.model.ends_at() + offset)
            self.attempt(source, who)

    @rule(who=NAMES)
    def void_who_has_bid(self, who):
        """Nothing shows that a bidder was removed but that its bids are gone."""
        if any(row[0] == who for row in self.model.log) and len(self.model.log) > 1:
            self.take({"kind": "void", "bidder": who})

    @rule()
    def crash(self):
        self.play = self.book.load(json.loads(json.dumps(self.play.dump())))

    @rule(length=st.integers(0, 20_000), resumes=st.sampled_from([True, True, False]))
    def suspend(self, length, resumes):
        self.take({"kind": "suspend"})
        if resumes:
            self.now += length
            self.take({"kind": "resume"})

    @rule()
    def resume(self):
        self.take({"kind": "resume"})

    @rule(who=NAMES, luck=st.integers(0, 2))
    def void(self, who, luck):
        if not luck:
            self.take({"kind": "void", "bidder": who})

    @invariant()
    def close(self):
        """The result as of now, and after everything has ended, is the reference's; looking changes nothing."""
        before = self.play.dump()
        for at in (self.now, None):
            outcome, expected = self.play.outcome(None if at is None else moment(at)), self.model.result(at)
            assert (outcome.state.value, outcome.winner) == (expected["state"], expected["winner"])
            assert outcome.price == expected["price"]
            assert [(row.bidder, row.amount) for row in outcome.ranking] == expected["ranking"]
            awards = [(row.bidder, row.price, row.state.value, list(row.lots)) for row in outcome.awards]
            assert awards == [
                (row["bidder"], row["price"], row["state"], row.get("lots", [])) for row in expected["awards"]
            ]
        assert milliseconds(outcome.ends_at.isoformat()) == self.model.ends_at()
        assert (outcome.extensions, outcome.accepted) == (self.model.extensions, len(self.model.log))
        assert self.play.dump() == before


@pytest.mark.parametrize("form", FORMATS)
def test_the_engine_is_the_reference(form):
    class Played(Machine):
        pass

    Played.form = form
    run_state_machine_as_test(Played, settings=LIMITS)
