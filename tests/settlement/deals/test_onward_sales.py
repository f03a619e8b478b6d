"""The onward-sale lock: what was bought under the undertaking not to resell is not listed again by who bought it."""

import pytest
from sqlalchemy import text

from tests.auctions.conftest import stage, terms  # noqa: F401 - a fixture
from tests.people import make_uscc
from tests.settlement.deals.test_adjustments import approve, propose

ROWS = [(n, f"LN{n},张三{n},{n * 1000}.33,{n}.10,{100 + n}") for n in (1, 2, 10, 3, 4)]
"""The cases of `sale`, as its seller delivered them."""
BUYER_USCC = make_uscc(4)
"""Of 华信资产, the buyer of `tests.people`."""


class Resale:
    """A seller that may be one with the buyer, and a listing of what it delivers."""

    def __init__(self, sale, stage, deliver):  # noqa: F811 - the fixture's value
        self.sale, self.stage, self.deliver = sale, stage, deliver
        self.seller = sale.api.as_(sale.people.other_seller)

    def undertake(self):
        """The buyer registered under the preset of bulk personal packages, with the undertaking."""
        with self.sale.sessions.begin() as session:
            session.execute(text("UPDATE listings SET preset = 'yindeng_cn'"))
            session.execute(text("UPDATE registrations SET no_resale_required = true, no_resale_at = applied_at"))

    def owned_by_the_buyer(self, kind="owner"):
        path = f"/organisations/{self.sale.people.other_seller.organisation_id}/affiliates"
        body = {"kind": kind, "name": "华信资产", "identity_number": BUYER_USCC}
        self.seller.ok("POST", path, 201, json=body)

    def draft(self, rows):
        head = "case_key,borrower,principal,interest,days_past_due"
        self.deliver("\n".join([head, *rows]) + "\n", who=self.sale.people.other_seller)
        package = self.seller.ok("POST", "/packages", 201, json={"name": "转卖", "filter": {}})
        self.seller.ok("POST", f"/packages/{package['id']}/freeze", json={"cut_off_on": "2026-01-31"})
        body = {"package_id": package["id"]} | terms()
        return self.seller.ok("POST", "/listings", 201, json=body)

    def missing(self, listing):
        return self.seller.ok("GET", f"/listings/{listing['id']}/readiness")["missing"]

    def publish(self, listing):
        return self.seller.post(f"/listings/{listing['id']}/publish")


@pytest.fixture
def resale(sale, stage, deliver):  # noqa: F811 - the fixture's value
    return Resale(sale, stage, deliver)


def test_what_was_bought_under_the_undertaking_is_not_listed_again(resale):
    resale.undertake()
    resale.sale.sell()
    resale.owned_by_the_buyer()
    listing = resale.draft([*(row for _, row in ROWS[:3]), "NEW1,李四,500.00,0.00,90", "LN4,王五,4000.33,4.10,104"])
    response = resale.publish(listing)
    assert (response.status_code, response.get_json()["code"]) == (409, "listing_not_ready")
    (gap,) = response.get_json()["errors"]
    assert gap["code"] == "onward_sale_locked"
    assert "3 personal claims" in gap["detail"]
    assert gap["source"]["grade"] == "S"
    assert gap["source"]["law"]["zh"]
    assert "LN1" not in str(gap)


@pytest.mark.parametrize("bound", ["no undertaking", "a stranger", "staff alone", "not contracted", "other claims"])
def test_whoever_is_not_bound_lists_freely(resale, bound):
    if bound != "no undertaking":
        resale.undertake()
    if bound == "not contracted":
        resale.sale.award()
    else:
        resale.sale.sell()
    if bound != "a stranger":
        resale.owned_by_the_buyer(kind="staff" if bound == "staff alone" else "owner")
    rows = ["N1,赵六,10.00,0.00,90"] if bound == "other claims" else [row for _, row in ROWS]
    listing = resale.draft(rows)
    assert resale.missing(listing) == []
    assert resale.publish(listing).status_code == 200


def test_a_claim_that_went_back_is_free(resale):
    resale.undertake()
    deal = resale.sale.sell()
    approve(resale.sale, propose(resale.sale, deal, "removal", cases=[("LN1", None), ("LN2", None)]))
    resale.owned_by_the_buyer()
    (gap,) = resale.missing(resale.draft([row for _, row in ROWS]))
    assert "3 personal claims" in gap["detail"]


def test_claims_on_companies_are_free(resale):
    resale.undertake()
    resale.sale.sell()
    resale.owned_by_the_buyer()
    with resale.sale.sessions.begin() as session:
        session.execute(text("UPDATE cases SET customer_type = 'company'"))
    assert resale.missing(resale.draft([row for _, row in ROWS])) == []


def test_of_a_package_sold_in_lots_only_the_bought_ones_are_locked(resale):
    resale.undertake()
    resale.sale.sell()
    resale.owned_by_the_buyer()
    with resale.sale.sessions.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text("UPDATE awards SET lots = '{L1}'"))
        session.execute(
            text(
                "INSERT INTO lot_cases (listing_id, package_id, case_id, lot) SELECT a.listing_id, a.package_id, c.id,"
                " CASE WHEN c.case_key IN ('LN1', 'LN2') THEN 'L1' ELSE 'L2' END FROM awards a, cases c"
            )
        )
    (gap,) = resale.missing(resale.draft([row for _, row in ROWS]))
    assert "2 personal claims" in gap["detail"]
