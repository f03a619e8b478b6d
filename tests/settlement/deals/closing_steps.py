"""Steps that tests of closings and of what follows them share: a sale closed under terms of its own."""

from decimal import Decimal

TERMS = {
    "deductions": [{"name": "court fee", "payee": "court", "kind": "amount", "amount": "1000.00"}],
    "senior_claims": [{"name": "wages", "payee": "staff", "rank": 1, "amount": "9000.01", "account": "622200001"}],
    "liens": [{"case": "LN10", "name": "mortgage", "payee": "bank B", "rank": 1, "amount": "100000.00"}],
    "holdback": {"percent": "5"},
    "warranty_days": 90,
}


def minor(amount):
    return int(Decimal(amount["amount"] if isinstance(amount, dict) else amount) * 100)


def propose(sale, terms=TERMS):
    finance = sale.api.as_(sale.people.finance)
    path = f"/deals/{sale.deal()['id']}/closing-terms"
    return finance.ok("POST", path, 201, json={"terms": terms, "reason": "contract, annex 2"})


def decide(sale, kind, row, verb="approve", who="admin"):
    return sale.api.as_(getattr(sale.people, who)).post(f"/{kind}/{row['id']}/{verb}", json={"reason": "checked"})


def close(sale, terms=TERMS):
    """From the award to the settled deal under terms that two persons agreed on."""
    sale.award()
    sale.work()
    assert decide(sale, "closing-terms", propose(sale, terms)).status_code == 200
    sale.pay_balance()
    sale.sign()
    sale.work()
    return sale.deal()


def entry(sale, source):
    return dict(
        sale.sql(
            "SELECT split_part(a.key, ':', 1), sum(p.amount_minor) FROM entries e JOIN postings p ON p.entry_id = e.id"
            " JOIN accounts a ON a.id = p.account_id WHERE e.source_kind = :source GROUP BY 1",
            source=source,
        )
    )


def agrees(sale, deal):
    finance = sale.api.as_(sale.people.finance)
    result = finance.ok("GET", f"/deals/{deal['id']}/reconciliation")
    assert [row for row in result["rows"] if minor(row["difference"])] == []
    assert finance.ok("GET", "/ledger/control-totals")["agrees"] is True
    assert finance.ok("POST", "/client-money-checks", 201)["items"][0]["passed"] is True


def yuan(value):
    return {"amount": f"{value // 100}.{value % 100:02}", "currency": "CNY"}
