"""The people of a sale on a clock of the test: every deed over the API, every jump of the clock signed in anew."""

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import text

from demo import appraising, sale
from demo.client import Client
from tests.people import PASSWORD
from tests.settlement.deals.conftest import Sale

NAMES = ("seller", "valuer", "compliance", "finance", "admin", "auditor", "buyer", "other_buyer", "third_buyer")
BUYERS = ("buyer", "other_buyer", "third_buyer")
VALUED_AT = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
ROWS = [(f"A{number}", f"甲方{number}", 100_000 + number, number % 3 * 200) for number in range(1, 13)]


def cny(amount):
    return {"amount": amount, "currency": "CNY"}


def instant(at):
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class InProcess(Client):
    """The demonstration's client over the application itself instead of a socket."""

    app: Any = None
    tick: Any = None

    def _once(self, method, target, body, headers):
        response = self.app.test_client(use_cookies=False).open(target, method=method, data=body, headers=headers)
        with response:
            return response.status_code, response.get_data()

    def wait_for(self, path, done, *, seconds, show=None):  # noqa: ARG002 - the signature of the client it stands for
        for _ in range(20):
            answer = self.get(path)
            if done(answer):
                return answer
            self.tick()
        raise AssertionError(answer)


@dataclass
class Walk(Sale):
    """A sale and its people. `tick` is the clockwork; deposits come by bank statements."""

    tick: Any = None
    listing: Any = field(default_factory=dict)

    @classmethod
    def of(cls, api, people, sessions, clock, work, tick):
        """A walk whose people have sessions that can be renewed."""
        who = {
            name: SimpleNamespace(
                token=getattr(people, name).token, login=getattr(people, name).login, name=name
            )
            for name in NAMES
        }  # fmt: skip
        walk = cls(api, SimpleNamespace(**who), sessions, clock, work, tick=tick)
        walk.at(clock.at)
        return walk

    def at(self, moment):
        """Set the clock of the process and PostgreSQL's clock of auctions; after a jump people sign in again."""
        jumped = moment - self.clock.at > timedelta(hours=6)
        self.clock.at = moment
        with self.sessions.begin() as session:
            session.execute(
                text(
                    "CREATE OR REPLACE FUNCTION auction_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
                    f"$$ SELECT timestamptz '{moment.isoformat()}' $$"
                )
            )
        if jumped:
            for person in vars(self.people).values():
                body = {"login": person.login, "password": PASSWORD}
                person.token = self.api.ok("POST", "/sessions", json=body)["token"]

    def do(self, name, method, path, status=None, **more):
        """One request of a person that must succeed."""
        return self.api.as_(getattr(self.people, name)).ok(method, path, status, **more)

    def refused(self, name, path, status, code, **more):
        """One POST of a person that must be refused with a code; its problem."""
        answer = self.api.as_(getattr(self.people, name)).post(path, **more)
        problem = answer.get_json()
        assert (answer.status_code, problem.get("code")) == (status, code), problem
        return problem

    def prepare(self, monkeypatch):
        """From the tape to a package with an accepted appraisal and an open room; every buyer has agreed."""
        lines = "\n".join(f"{key},{who},{principal}.33,0.10,{days}" for key, who, principal, days in ROWS)
        content = f"case_key,borrower,principal,interest,days_past_due\n{lines}\n".encode()
        data = {"currency": "CNY", "as_of_on": "2026-01-31", "file": (io.BytesIO(content), "tape.csv")}
        self.do("seller", "POST", "/tapes", 202, data=data)
        self.work()
        made = self.do("seller", "POST", "/packages", 201, json={"name": "走查一期", "filter": {}})
        frozen = self.do("seller", "POST", f"/packages/{made['id']}/freeze", json={"cut_off_on": "2026-01-31"})
        doors = {
            name: InProcess("", person.token, app=self.api.app, tick=self.tick)
            for name, person in vars(self.people).items()
        }
        cast = SimpleNamespace(**doors, buyers={name: doors[name] for name in BUYERS})
        lot = sale.Sale("走查一期", package=frozen)
        monkeypatch.setattr(appraising, "datetime", SimpleNamespace(now=lambda _: VALUED_AT))
        appraising.appraise(cast, lot)
        sale.fill_room(cast, lot)
        sale.examine(cast, lot)
        self.package_id = frozen["id"]

    def register(self, *names, short=None):
        """Buyers register, compliance approves, their deposits come by bank; that of `short` lacks a cent."""
        for name in names:
            row = self.do(name, "POST", f"/listings/{self.listing['id']}/registrations", 201)
            self.do("compliance", "POST", f"/registrations/{row['id']}/approve")
            self.registrations[name], self.references[name] = row["id"], row["reference"]
        deposit = int(self.listing["deposit"]["amount"].replace(".", ""))
        self.statement(*((deposit - (name == short), f"保证金 {self.references[name]}", name) for name in names))
        self.work()

    def bid(self, name, amount, status=201, code=None, key=None, **more):
        """A bid of a person; a refusal must have the code."""
        path, body = f"/auctions/{self.listing['auction_id']}/bids", {"amount": cny(amount)} | more
        if code is not None:
            return self.refused(name, path, status, code, json=body, key=key)
        return self.do(name, "POST", path, status, json=body, key=key)

    def steer(self, deed, **more):
        """Compliance suspends, resumes, or removes a bidder."""
        path = f"/auctions/{self.listing['auction_id']}/{deed}"
        return self.do("compliance", "POST", path, json={"reason": "投诉核查"} | more)

    def auction(self):
        return self.do("auditor", "GET", f"/auctions/{self.listing['auction_id']}")

    def close(self, moment):
        """The clockwork runs at a moment; what it writes down is told."""
        self.at(moment)
        self.tick()
        return self.do("auditor", "GET", f"/auctions/{self.listing['auction_id']}/result")

    def next_listing(self):
        """The attempt that followed the present one."""
        rows = self.do("seller", "GET", "/listings")["items"]
        found = [row for row in rows if row["previous_listing_id"] == self.listing["id"]]
        assert len(found) == 1
        self.listing = self.do("seller", "GET", f"/listings/{found[0]['id']}")
        return self.listing
