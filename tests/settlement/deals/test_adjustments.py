"""After the closing: collections, price adjustments, cases that go back; two statements from one register."""

import csv
import io

import pypdf
import pytest

from settlement.domain.references import is_sound, printed
from tests.settlement.deals.closing_steps import TERMS, agrees, close, decide, entry, minor, yuan

ON = "2026-03-02"
SELLER = "东海银行"
"""What the bank calls the seller: its registered name."""


def signed(value):
    return {"amount": f"{'-' * (value < 0)}{yuan(abs(value))['amount']}", "currency": "CNY"}


def propose(sale, deal, kind, *, amount=None, cases=(), status=201):
    body = {"kind": kind, "value_on": ON, "reason": f"{kind} agreed"}
    body["cases"] = [{"case_key": key, "amount": None if value is None else signed(value)} for key, value in cases]
    if amount is not None:
        body["amount"] = signed(amount)
    return sale.api.as_(sale.people.finance).ok("POST", f"/deals/{deal['id']}/adjustments", status, json=body)


def approve(sale, row):
    return decide(sale, "adjustments", row).get_json()


def true_ups(sale, deal):
    of = {who: sale.api.as_(getattr(sale.people, who)) for who in ("buyer", "seller")}
    return {who: api.ok("GET", f"/deals/{deal['id']}/true-up") for who, api in of.items()}


def prices(sale, deal):
    rows = sale.api.as_(sale.people.buyer).ok("GET", f"/deals/{deal['id']}/cases")["items"]
    return {row["case_key"]: minor(row["price"]) for row in rows}


def parts(sale, row):
    rows = sale.api.as_(sale.people.finance).ok("GET", f"/adjustments/{row['id']}/cases")["items"]
    return {one["case_key"]: minor(one["amount"]) for one in rows}


def last_line(sale):
    return sale.sql("SELECT id FROM statement_lines ORDER BY id DESC LIMIT 1")[0][0]


def pay(sale, row, value, who="seller"):
    """A wire without a reference arrives, and finance pays an adjustment with it."""
    sale.statement((value, "true-up", who))
    body = {"statement_line_id": str(last_line(sale))}
    return sale.api.as_(sale.people.finance).post(f"/adjustments/{row['id']}/settle", json=body)


def test_collections_are_handed_over_out_of_the_holdback_and_by_wire(sale):
    deal = close(sale)
    held = minor(
        sale.api.as_(sale.people.finance).ok("POST", f"/deals/{deal['id']}/closing-preview", json={})["holdback"]
    )
    row = propose(sale, deal, "collections", cases=[("LN1", held), ("LN2", 700), ("LN3", -200)])
    assert decide(sale, "adjustments", row, who="finance").get_json()["code"] == "same_person"
    assert true_ups(sale, deal)["buyer"]["lines"] == []
    row = approve(sale, row)
    assert (row["state"], minor(row["covered"]), minor(row["open"])) == ("approved", held, 500)
    assert parts(sale, row) == {"LN1": held, "LN2": 700, "LN3": -200}
    found = true_ups(sale, deal)
    assert [minor(found["buyer"][name]) for name in ("total", "paid", "open")] == [held + 500, held, 500]
    assert [minor(found["seller"][name]) for name in ("total", "paid", "open")] == [-held - 500, -held, -500]
    row = pay(sale, row, 800).get_json()
    assert (row["state"], minor(row["open"])) == ("settled", 0)
    assert entry(sale, "adjustment.covered") == {"holdback": held, "unapplied": 500, "payable": -held - 500}
    to_buyer = [minor(one["amount"]) for one in sale.orders() if one["source_kind"] == "adjustment_cover"]
    assert sorted(to_buyer) == [500, held]
    assert pay(sale, row, 1).get_json()["code"] == "illegal_move"
    agrees(sale, deal)


def test_a_wire_that_names_the_reference_of_an_adjustment_pays_it_by_itself(sale):
    deal = close(sale, {**TERMS, "holdback": {"percent": "0"}})
    row = approve(sale, propose(sale, deal, "collections", cases=[("LN1", 500_00)]))
    assert is_sound(row["reference"])
    for value, finding, state in ((200_00, "partial", "approved"), (350_00, "overpayment", "settled")):
        sale.statement((value, f"true-up {printed(row['reference'])}", SELLER))
        assert sale.sql("SELECT finding FROM statement_lines WHERE id = :id", id=last_line(sale)) == [(finding,)]
        row = sale.api.as_(sale.people.finance).ok("GET", f"/adjustments/{row['id']}")
        assert row["state"] == state
    to_buyer = [minor(one["amount"]) for one in sale.orders() if one["source_kind"] == "adjustment_cover"]
    assert sorted(to_buyer) == [200_00, 300_00]
    (match, *_) = sale.sql("SELECT id FROM matches WHERE reference = :reference", reference=row["reference"])
    finance = sale.api.as_(sale.people.finance)
    refused = finance.post(f"/matches/{match[0]}/unmatch", json={"reason": "wrong"})
    assert refused.get_json()["code"] == "match_stands"
    sale.statement((1_00, f"again {row['reference']}", SELLER))
    assert sale.sql("SELECT finding FROM statement_lines WHERE id = :id", id=last_line(sale)) == [("deal_refused",)]
    agrees(sale, deal)


def test_the_wire_of_a_stranger_waits_for_a_person(sale):
    deal = close(sale, {**TERMS, "holdback": {"percent": "0"}})
    row = approve(sale, propose(sale, deal, "collections", cases=[("LN1", 500_00)]))
    sale.statement((500_00, row["reference"], "somebody else"))
    assert sale.sql("SELECT finding FROM statement_lines WHERE id = :id", id=last_line(sale)) == [
        ("third_party_payer",)
    ]
    assert sale.sql("SELECT covered_minor FROM adjustments") == [(0,)]


def test_a_price_adjustment_is_shared_by_price_both_ways(sale):
    deal = close(sale)
    down = approve(sale, propose(sale, deal, "price", amount=10_000))
    assert sum(parts(sale, down).values()) == 10_000
    assert down["state"] == "settled"
    up = approve(sale, propose(sale, deal, "price", amount=-3_333))
    assert (up["state"], minor(up["open"])) == ("approved", -3_333)
    assert sum(parts(sale, up).values()) == -3_333
    assert pay(sale, up, 3_333, "buyer").get_json()["state"] == "settled"
    assert minor(true_ups(sale, deal)["buyer"]["total"]) == 10_000 - 3_333
    agrees(sale, deal)


def test_a_removed_case_gives_back_its_price_once(sale):
    deal = close(sale)
    price = prices(sale, deal)
    reduced = approve(sale, propose(sale, deal, "price", amount=10_000))
    row = approve(sale, propose(sale, deal, "removal", cases=[("LN1", None)]))
    assert minor(row["amount"]) == price["LN1"] - parts(sale, reduced)["LN1"]
    again = propose(sale, deal, "removal", cases=[("LN1", None)], status=409)
    assert again["code"] == "case_returned"
    assert propose(sale, deal, "collections", cases=[("LN1", 1)], status=409)["code"] == "case_returned"
    later = propose(sale, deal, "price", amount=500)
    assert "LN1" not in parts(sale, later)


def test_a_case_is_sold_back_within_the_warranty_less_what_the_buyer_collected(sale):
    deal = close(sale)
    row = propose(sale, deal, "repurchase", cases=[("LN2", 5_000)])
    assert minor(row["amount"]) == prices(sale, deal)["LN2"] - 5_000
    case = {"case_key": "LN3", "amount": None}
    body = {"kind": "repurchase", "value_on": "2026-06-01", "reason": "late", "cases": [case]}
    late = sale.api.as_(sale.people.finance).post(f"/deals/{deal['id']}/adjustments", json=body)
    assert (late.status_code, late.get_json()["code"]) == (409, "warranty_over")


def test_without_a_warranty_nothing_is_sold_back(sale):
    deal = sale.sell()
    assert propose(sale, deal, "repurchase", cases=[("LN2", None)], status=409)["code"] == "warranty_over"


@pytest.mark.parametrize(
    ("kind", "given", "code"),
    [
        ("collections", {"cases": [("LN99", 1)]}, "unknown_case"),
        ("collections", {"cases": [("LN1", 1), ("LN1", 1)]}, "unknown_case"),
        ("collections", {"cases": [("LN1", 1), ("LN2", -1)]}, "adjustment_out_of_bounds"),
        ("collections", {}, "adjustment_out_of_bounds"),
        ("price", {}, "adjustment_out_of_bounds"),
        ("price", {"amount": 1_000_000_02}, "adjustment_out_of_bounds"),
        ("removal", {}, "adjustment_out_of_bounds"),
        ("removal", {"cases": [("LN1", 1_000_000_00)]}, "adjustment_out_of_bounds"),
        ("removal", {"cases": [("LN1", -1)]}, "adjustment_out_of_bounds"),
    ],
)
def test_what_cannot_be_is_refused(sale, kind, given, code):
    assert propose(sale, sale.sell(), kind, status=422, **given)["code"] == code


def test_only_what_is_approved_is_seen_and_only_by_the_parties(sale):
    deal = close(sale)
    row = propose(sale, deal, "price", amount=100)
    buyer = sale.api.as_(sale.people.buyer)
    assert buyer.ok("GET", f"/deals/{deal['id']}/adjustments")["items"] == []
    assert buyer.get(f"/adjustments/{row['id']}").status_code == 404
    approve(sale, row)
    assert [one["id"] for one in buyer.ok("GET", f"/deals/{deal['id']}/adjustments")["items"]] == [row["id"]]
    stranger = sale.api.as_(sale.people.other_buyer)
    for path in (f"/adjustments/{row['id']}", f"/deals/{deal['id']}/true-up", f"/deals/{deal['id']}/figures"):
        assert stranger.get(path).status_code == 404
    assert buyer.get(f"/deals/{deal['id']}/true-up?party=seller").status_code == 404
    assert buyer.post(f"/deals/{deal['id']}/adjustments", json={}).status_code == 403


def test_every_figure_is_the_sum_of_the_rows_it_links_to(sale):
    deal = close(sale)
    approve(sale, propose(sale, deal, "collections", cases=[("LN1", 300), ("LN2", 200)]))
    seller = sale.api.as_(sale.people.seller)
    figures = seller.ok("GET", f"/deals/{deal['id']}/figures")["items"]
    amounts = {one["figure"]: minor(one["amount"]) for one in figures}
    for one in figures:
        rows, cursor = [], None
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = seller.ok("GET", one["href"].removeprefix("/api/v1"), query_string=query)
            rows += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        assert (len(rows), sum(minor(row["amount"]) for row in rows)) == (one["rows"], minor(one["amount"]))
        assert len({row["id"] for row in rows}) == len(rows)
    assert (amounts["price"], amounts["deposit"]) == (minor(deal["price"]), minor(deal["deposit"]))
    assert (amounts["received"], amounts["net"]) == (minor(deal["received"]), minor(deal["net"]))
    assert amounts["price"] == amounts["deductions"] + amounts["net"]
    assert (amounts["adjustments"], amounts["adjustments_paid"]) == (500, 500)
    buyer = sale.api.as_(sale.people.buyer)
    of_buyer = {one["figure"] for one in buyer.ok("GET", f"/deals/{deal['id']}/figures")["items"]}
    assert of_buyer == {"price", "deposit", "received", "adjustments", "adjustments_paid"}
    assert buyer.get(f"/deals/{deal['id']}/figures/net").status_code == 404
    assert buyer.get(f"/deals/{deal['id']}/figures/nothing").status_code == 404


def test_the_papers_say_what_the_register_says(sale):
    deal = close(sale)
    approve(sale, propose(sale, deal, "collections", cases=[("LN1", 300)]))
    for who, sign in (("buyer", ""), ("seller", "-")):
        api = sale.api.as_(getattr(sale.people, who))
        for language in ("zh", "en"):
            query = {"format": "pdf", "language": language}
            assert api.get(f"/deals/{deal['id']}/true-up/file", query_string=query).data.startswith(b"%PDF")
        assert api.get(f"/deals/{deal['id']}/true-up/file?format=xlsx").data.startswith(b"PK")
        text = api.get(f"/deals/{deal['id']}/true-up/file?format=csv&language=en").data.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text)))
        assert [row[3] for row in rows[1:]] == [f"{sign}3.00", f"{sign}3.00"]
        cases = api.get(f"/deals/{deal['id']}/cases/file?format=csv&language=en").data.decode("utf-8-sig")
        heads = next(csv.reader(io.StringIO(cases)))
        assert heads == (["Case", "Price"] if who == "buyer" else ["Case", "Price", "Net", "Proceeds", "Costs",
                         "Interest", "Principal", "Above the claim"])  # fmt: skip


@pytest.mark.parametrize(
    ("language", "kept", "removal"),
    [("zh", "质保留存款", "案件剔除"), ("en", "Kept back", "Removal of cases")],
)
def test_both_statements_of_account_say_what_was_kept_back_and_what_followed(sale, language, kept, removal):
    deal = close(sale)
    finance = sale.api.as_(sale.people.finance)
    preview = finance.ok("POST", f"/deals/{deal['id']}/closing-preview", json={})

    def statement(who):
        query = {"language": language}
        response = sale.api.as_(getattr(sale.people, who)).get(f"/deals/{deal['id']}/statement.pdf", query_string=query)
        return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(response.data)).pages)

    part = finance.ok(
        "POST", f"/deals/{deal['id']}/parts", 201, json={"reason": "half a year", "amount": yuan(10_000_00)}
    )
    assert decide(sale, "deal-parts", part).status_code == 200
    for who in ("buyer", "seller"):
        text = statement(who)
        assert kept in text
        assert removal not in text
    row = approve(sale, propose(sale, deal, "removal", cases=[("LN1", None)]))
    held = minor(preview["holdback"]) - 10_000_00 - minor(row["covered"])
    for who, sign in (("buyer", ""), ("seller", "-")):
        text = statement(who)
        assert removal in text
        assert row["covered"]["amount"] in text
        assert yuan(held)["amount"] in text
        assert [amount in text for amount in (preview["holdback"], "10000.00")] == [who == "seller"] * 2
        assert text.count(f"{sign}{row['amount']['amount']}") >= 2


def test_a_statement_without_holdback_and_adjustments_is_silent_about_them(sale):
    deal = sale.sell()
    response = sale.api.as_(sale.people.buyer).get(f"/deals/{deal['id']}/statement.pdf?language=en")
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(response.data)).pages)
    assert "Kept back" not in text
    assert "After the closing" not in text
