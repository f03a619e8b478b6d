"""A sale in lots and the deeds of its people over the API: what the tests of lots play on."""

import itertools
import uuid
from datetime import timedelta

from auctions import service as auctions
from marketplace.clock import format_instant
from marketplace.packages import service as packages
from tests.auctions.conftest import ENDS, OPENS, cny
from tests.settlement.deals.conftest import Sale, yuan

DEPOSIT = 20_000_00
ROWS = [
    *((f"A{n}", f"甲方{n}", 1000 * n + 500, n, 100) for n in range(1, 7)),
    *((f"B{n}", f"乙方{n}", 777 * n + 300, n, 400) for n in range(1, 6)),
    *((f"C{n}", f"丙方{n}", 5000 + n, 0, 800) for n in range(1, 6)),
]
LOTS = [{"lot": "L1", "reserve": "5000.00"}, {"lot": "L2", "reserve": "3000.00"}, {"lot": "L3", "reserve": "9000.00"}]
CUTS = [
    {"lot": "L1", "filter": {"days_past_due_max": 199}},
    {"lot": "L2", "case_keys": ["B5", "B4", "B3", "B2", "B1"]},
    {"lot": "L3", "rest": True},
]
COVERED = ("buyer", "other_buyer", "third_buyer")


class LotSale(Sale):
    """A sale in lots; the deeds of its people over the API."""

    def freeze(self, deliver, stage):
        self.stage = stage
        rows = ["case_key,borrower,principal,interest,days_past_due"]
        rows += [f"{key},{who},{principal}.33,{interest}.10,{days}" for key, who, principal, interest, days in ROWS]
        deliver("\n".join(rows) + "\n")
        seller = self.api.as_(self.people.seller)
        package = seller.ok("POST", "/packages", 201, json={"name": "分包一期", "filter": {}})
        seller.ok("POST", f"/packages/{package['id']}/freeze", json={"cut_off_on": "2026-01-31"})
        self.package_id = package["id"]
        self.admit(package["id"])
        return package["id"]

    def admit(self, package_id):
        with self.sessions.begin() as session:
            self.stage._admit(session, packages.require_package(session, uuid.UUID(package_id)))

    def draft(self, package_id, **more):
        body = {
            "package_id": package_id, "format": "package", "title_zh": "分包", "deposit": cny(yuan(DEPOSIT)),
            "registration_closes_at": format_instant(OPENS), "opens_at": format_instant(OPENS),
            "ends_at": format_instant(ENDS), "lots": LOTS, "unsold_lots_count": "nothing",
        } | more  # fmt: skip
        return self.api.as_(self.people.seller).ok("POST", "/listings", 201, json=body)

    def cut(self, listing, cuts=CUTS, status=200, **more):
        client = self.api.as_(self.people.seller)
        version = client.get(f"/listings/{listing['id']}").headers["ETag"]
        body = {"lots": cuts} | more
        answer = client.post(f"/listings/{listing['id']}/lots", json=body, headers={"If-Match": version})
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def publish(self, listing):
        return self.api.as_(self.people.seller).ok("POST", f"/listings/{listing['id']}/publish")

    def missing(self, listing):
        found = self.api.as_(self.people.seller).ok("GET", f"/listings/{listing['id']}/readiness")["missing"]
        return {gap["code"] for gap in found}

    def collect(self, auction_id):
        holders = (self.people.seller, self.people.admin, self.people.auditor)
        return {
            who: self.api.as_(who).ok("POST", f"/auctions/{auction_id}/shares/collect", 201)["share"] for who in holders
        }

    def register(self, listing):
        for name in COVERED:
            who = getattr(self.people, name)
            row = self.api.as_(who).ok("POST", f"/listings/{listing['id']}/registrations", 201)
            self.api.as_(self.people.compliance).ok("POST", f"/registrations/{row['id']}/approve")
            self.registrations[name], self.references[name] = row["id"], row["reference"]
        self.statement(*((DEPOSIT, f"保证金 {self.references[name]}", name) for name in COVERED))

    def bid(self, listing, name, amount, *lots):
        path = f"/auctions/{listing['auction_id']}/bids"
        body = {"amount": cny(amount), "lots": list(lots)}
        return self.api.as_(getattr(self.people, name)).post(path, json=body)

    def open(self, listing, shares):
        """Two holders give their shares after the end, and closing writes the result down."""
        self.stage.at(ENDS + timedelta(seconds=1))
        for who, share in itertools.islice(shares.items(), 2):
            self.api.as_(who).ok("POST", f"/auctions/{listing['auction_id']}/shares", json={"share": share})
        with self.sessions.begin() as session:
            auctions.close_due(session, self.clock.now())
        self.work()
        return self.api.as_(self.people.auditor).ok("GET", f"/auctions/{listing['auction_id']}/result")

    def deals(self):
        rows = self.api.as_(self.people.finance).ok("GET", "/deals")["items"]
        return {row["buyer_organisation_id"]: row for row in rows}

    def settle(self, name):
        """A winner pays its balance, both sign, and the steps run to the end."""
        deal = self.deals()[str(getattr(self.people, name).organisation_id)]
        minor = int(deal["due"]["amount"].replace(".", ""))
        self.statement((minor, f"余款 {deal['reference']}", name))
        for who in (self.people.seller, getattr(self.people, name)):
            self.api.as_(who).ok("POST", f"/deals/{deal['id']}/sign-contract")
        self.work()
        return self.api.as_(self.people.finance).ok("GET", f"/deals/{deal['id']}")

    def allocations(self, deal):
        page = self.api.as_(self.people.finance).ok("GET", f"/deals/{deal['id']}/allocations?limit=200")
        return {row["case_key"]: int(row["amount"]["amount"].replace(".", "")) for row in page["items"]}

    def case_states(self):
        rows = self.sql("SELECT case_key, state FROM cases ORDER BY case_key")
        return {row[0]: row[1] for row in rows}

    def package(self, package_id):
        return self.api.as_(self.people.seller).ok("GET", f"/packages/{package_id}")


def published(lots):
    listing = lots.draft(lots.package_id)
    lots.cut(listing)
    listing = lots.publish(listing)
    with lots.sessions.begin() as session:
        session.connection().exec_driver_sql("UPDATE auctions SET attempt_interval_seconds = 0")
        session.connection().exec_driver_sql("UPDATE user_sessions SET expires_at = expires_at + interval '90 days'")
    shares = lots.collect(listing["auction_id"])
    lots.register(listing)
    lots.stage.at(OPENS + timedelta(minutes=1))
    return listing, shares


def sold(lots):
    """L1 goes to the buyer, L2 to another, nobody reaches the reserve of L3."""
    listing, shares = published(lots)
    assert lots.bid(listing, "buyer", "30000.01", "L1").status_code == 201
    assert lots.bid(listing, "other_buyer", "25000.02", "L2").status_code == 201
    assert lots.bid(listing, "third_buyer", "24000.00", "L2").status_code == 201
    low = lots.bid(listing, "third_buyer", "8999.99", "L3")
    assert low.get_json()["code"] == "below_lot_reserves"
    return listing, lots.open(listing, shares)


def keys(prefix):
    return {key for key, *_ in ROWS if key.startswith(prefix)}
