"""A deposit over HTTP: paid by wire, held, covered, released, paid back; and everything that goes wrong."""

import io
import threading
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from auctions.domain.lifecycles import RegistrationState
from auctions.models import Registration
from marketplace.actor import SYSTEM
from settlement import deposits, ledger, payments
from settlement.domain import ledger as books
from settlement.domain.orders import PaymentPurpose
from tests.settlement.money.conftest import DEPOSIT, accept


def covered(sessions, registration) -> bool:
    with sessions() as session:
        return session.get(Registration, registration.id).covered_at is not None


def take_in(api, people, statement, **form):
    return api.as_(people.finance).ok("POST", "/bank-statements", 201, **statement.upload(**form))["items"]


def findings(items) -> list[str]:
    return [line["finding"] for item in items for line in item["lines"]]


def books_are_square(sessions) -> None:
    with sessions() as session:
        rows = session.execute(text("SELECT currency, sum(amount_minor) FROM postings GROUP BY currency")).all()
        assert all(total == 0 for _, total in rows), rows
        for currency, total in session.execute(
            text("SELECT currency, sum(amount_minor) FROM statement_lines GROUP BY currency")
        ):
            assert ledger.balance(session, "bank", currency=currency) == total


def test_a_wire_covers_the_registration(api, people, sessions, registration, statement) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, f"竞买保证金 {mine.reference.lower().replace('-', ' ')}")
    (item,) = take_in(api, people, paper)
    assert item["statement"]["proven"] is True
    assert item["statement"]["new_line_count"] == 1
    (line,) = item["lines"]
    assert line["finding"] == "exact"
    assert line["open"] == {"amount": "0.00", "currency": "CNY"}
    assert line["matches"][0]["reference"] == mine.reference
    assert covered(sessions, mine)
    (deposit,) = api.as_(people.buyer).ok("GET", "/deposits")["items"]
    assert deposit["held"] == {"amount": "100000.00", "currency": "CNY"}
    assert deposit["covered"] is True
    assert api.as_(people.other_buyer).ok("GET", "/deposits")["items"] == []
    assert len(api.as_(people.auditor).ok("GET", "/deposits")["items"]) == 1
    books_are_square(sessions)


def test_one_fen_less_covers_nothing_until_it_comes(api, people, sessions, registration, statement) -> None:
    mine = registration()
    first, second = statement(), statement()
    first.line(DEPOSIT - 1, mine.reference)
    assert findings(take_in(api, people, first)) == ["partial"]
    assert not covered(sessions, mine)
    second.line(1, mine.reference)
    assert findings(take_in(api, people, second)) == ["completes"]
    assert covered(sessions, mine)


def test_what_does_not_fit_stays_unapplied_with_its_reason(api, people, sessions, registration, statement) -> None:
    mine, closed, other = registration(), registration(state=RegistrationState.WITHDRAWN), registration()
    paper = statement()
    paper.line(DEPOSIT + 5, mine.reference)
    paper.line(DEPOSIT, mine.reference)
    paper.line(DEPOSIT, closed.reference)
    paper.line(700, "no reference")
    paper.line(700, "DP-ZZZZZZZZ")
    paper.line(700, f"{mine.reference} {other.reference}")
    paper.line(-300, "bank fee")
    euro = statement("EUR")
    euro.line(DEPOSIT, mine.reference)
    items = take_in(api, people, paper)
    assert findings(items) == [
        "overpayment",
        "duplicate_payment",
        "registration_closed",
        "no_reference",
        "no_reference",
        "several_references",
        "no_reference",
    ]
    assert findings(take_in(api, people, euro)) == ["wrong_currency"]
    left = api.as_(people.finance).ok("GET", "/statement-lines?open=true")["items"]
    assert {line["open"]["amount"] for line in left} == {"0.05", "100000.00", "7.00", "-3.00"}
    assert len(left) == 8
    books_are_square(sessions)


def test_the_same_file_and_overlapping_lines_change_nothing(api, people, sessions, registration, statement) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference, number="N1")
    paper.line(500, "equal", number="-")
    paper.line(500, "equal", number="-")
    first = take_in(api, people, paper)
    again = take_in(api, people, paper)
    assert again == first
    paper.line(900, "new", number="N2")
    (longer,) = take_in(api, people, paper)
    assert longer["statement"]["line_count"] == 4
    assert longer["statement"]["new_line_count"] == 1
    with sessions() as session:
        assert session.execute(text("SELECT count(*) FROM statement_lines")).scalar_one() == 4
        assert ledger.balance(session, "bank", currency="CNY") == DEPOSIT + 1900
    books_are_square(sessions)


def test_two_imports_of_one_file_at_once_are_one(api, people, sessions, registration, statement) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference)
    together = threading.Barrier(2)
    answers = []

    def send() -> None:
        together.wait()
        answers.append(api.as_(people.finance).post("/bank-statements", **paper.upload()))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].get_json() == answers[1].get_json()
    books_are_square(sessions)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "statement_unreadable"),
        (b"%PDF-1.7", "statement_unreadable"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "statement_unreadable"),
        ("交易日期,贷方金额,借方金额,余额,账号\n".encode(), "statement_unreadable"),
        (
            "账号,1,币种,人民币\n交易日期,贷方金额,借方金额,余额\n2026-03-02,5.00,,5.00\n2026-03-02,5.00,,10.01\n".encode(),
            "statement_unproven",
        ),
    ],
)
def test_a_bad_file_is_refused_whole(api, people, sessions, content, code) -> None:
    response = api.as_(people.finance).post(
        "/bank-statements", data={"file": (io.BytesIO(content), "x")}, content_type="multipart/form-data"
    )
    assert response.status_code == 422, response.text
    assert response.get_json()["code"] == code
    with sessions() as session:
        assert session.execute(text("SELECT count(*) FROM statement_lines")).scalar_one() == 0
        assert session.execute(text("SELECT count(*) FROM stored_files")).scalar_one() == 0


@pytest.mark.parametrize("columns", ["[]", "{", '{"date": 1}', '{"nonsense": "x"}'])
def test_bad_column_names_are_refused(api, people, statement, columns) -> None:
    response = api.as_(people.finance).post("/bank-statements", **statement().upload(columns=columns))
    assert response.status_code == 422, response.text


def test_only_finance_touches_money(api, people, statement) -> None:
    for person in (people.seller, people.buyer, people.auditor, people.compliance):
        assert api.as_(person).post("/bank-statements", **statement().upload()).status_code == 403
    assert api.as_(people.seller).get("/statement-lines").status_code == 403
    assert api.as_(people.auditor).get("/statement-lines").status_code == 200
    assert api.post("/bank-statements", **statement().upload()).status_code == 401


def test_a_person_matches_what_the_text_lacks(api, people, sessions, registration, statement) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT + 100, "forgot the reference")
    (item,) = take_in(api, people, paper)
    line = item["lines"][0]
    finance = api.as_(people.finance)
    wrong = finance.post(f"/statement-lines/{line['id']}/match", json={"reference": "DP-00000000"})
    assert (wrong.status_code, wrong.get_json()["code"]) == (409, "does_not_match")
    matched = finance.ok("POST", f"/statement-lines/{line['id']}/match", 200, json={"reference": mine.reference})
    assert matched["finding"] == "overpayment"
    assert matched["open"]["amount"] == "1.00"
    assert covered(sessions, mine)
    order = finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "paid too much"})
    assert (order["amount"]["amount"], order["payee_account"], order["purpose"]) == (
        "1.00",
        "6217000",
        "unapplied_refund",
    )
    nothing = finance.post(f"/statement-lines/{line['id']}/refund", json={"reason": "again"})
    assert (nothing.status_code, nothing.get_json()["code"]) == (409, "nothing_to_match")
    assert finance.post(f"/statement-lines/{uuid.uuid4()}/match", json={"reference": "x"}).status_code == 404
    assert finance.ok("GET", "/statement-lines?open=true")["items"] == []
    books_are_square(sessions)


def test_a_released_deposit_goes_back_to_each_payer_and_the_bank_confirms(
    api, people, sessions, registration, statement, work
) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT - 100, mine.reference, name="甲", account="111")
    paper.line(100, mine.reference, name="乙", account="222")
    items = take_in(api, people, paper)
    assert findings(items) == ["third_party_payer", "third_party_payer"]
    assert not covered(sessions, mine)
    finance, admin = api.as_(people.finance), api.as_(people.admin)
    for line in items[0]["lines"]:
        accept(api, people, line, mine.reference)
    url = f"/registrations/{mine.id}/release-deposit"
    orders = finance.ok("POST", url, 200, json={"reason": "not awarded"})["items"]
    assert [(order["payee_account"], order["amount"]["amount"]) for order in orders] == [
        ("111", "99999.00"),
        ("222", "1.00"),
    ]
    assert finance.ok("POST", url, 200, json={"reason": "again"})["items"] == orders
    assert not covered(sessions, mine)
    late = statement()
    late.line(100, mine.reference)
    assert findings(take_in(api, people, late)) == ["registration_closed"]

    first, second = orders
    same = finance.post(f"/payment-orders/{first['id']}/approve")
    assert (same.status_code, same.get_json()["code"]) == (403, "same_person")
    assert finance.post(f"/payment-orders/{first['id']}/send").status_code == 409
    for order in orders:
        assert admin.ok("POST", f"/payment-orders/{order['id']}/approve")["state"] == "approved"
    xml = finance.get("/payment-orders/pain001.xml")
    assert xml.status_code == 200, xml.text
    assert first["reference"] in xml.text
    assert "<CtrlSum>100000.00</CtrlSum>" in xml.text
    assert first["reference"] in finance.get("/payment-orders/export.csv?state=approved").text
    finance.ok("POST", f"/payment-orders/{first['id']}/send")

    out = statement()
    out.line(-9999900, f"refund {first['reference']}")
    out.line(-100, f"refund {second['reference']}")
    out.line(-9999900, f"refund {first['reference']}")
    assert findings(take_in(api, people, out)) == ["order", "order_not_sent", "order_not_sent"]
    settled = finance.ok("GET", f"/payment-orders/{first['id']}")
    assert settled["state"] == "settled"
    assert settled["settled_by_line_id"]
    finance.ok("POST", f"/payment-orders/{second['id']}/send")
    left = finance.ok("GET", "/statement-lines?open=true")["items"]
    small = next(line for line in left if line["amount"]["amount"] == "-1.00")
    matched = finance.ok("POST", f"/statement-lines/{small['id']}/match", json={"reference": second["reference"]})
    assert matched["finding"] == "order"
    work()
    with sessions() as session:
        assert deposits.held(session, registration_id=mine.id, currency="CNY") == 0
    books_are_square(sessions)


def test_a_cancelled_refund_is_held_again(api, people, sessions, registration, statement) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference)
    take_in(api, people, paper)
    finance = api.as_(people.finance)
    (order,) = finance.ok("POST", f"/registrations/{mine.id}/release-deposit", json={"reason": "x"})["items"]
    finance.ok("POST", f"/payment-orders/{order['id']}/cancel", json={"reason": "wrong account"})
    (deposit,) = finance.ok("GET", "/deposits")["items"]
    assert deposit["held"]["amount"] == "100000.00"
    assert covered(sessions, mine)
    (again,) = finance.ok("POST", f"/registrations/{mine.id}/release-deposit", json={"reason": "x"})["items"]
    assert again["id"] != order["id"]
    books_are_square(sessions)


def test_two_releases_at_once_are_one_effect(api, people, sessions, registration, statement, clock) -> None:
    """Race on two real connections."""
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference)
    take_in(api, people, paper)
    together = threading.Barrier(2)
    released = []

    def release() -> None:
        with sessions.begin() as session:
            together.wait()
            orders = deposits.release(session, registration_id=mine.id, reason="lost", actor=SYSTEM, at=clock.now())
            released.append([order.id for order in orders])

    threads = [threading.Thread(target=release) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(released) == 2
    assert released[0] == released[1]
    with sessions() as session:
        assert session.execute(text("SELECT count(*), sum(amount_minor) FROM payment_orders")).one() == (1, DEPOSIT)
    books_are_square(sessions)


def test_what_was_applied_is_not_released(api, people, sessions, registration, statement, clock) -> None:
    mine, deal_id = registration(), uuid.uuid4()
    paper = statement()
    paper.line(DEPOSIT, mine.reference)
    take_in(api, people, paper)
    with sessions.begin() as session:
        for _ in range(2):
            deposits.apply(
                session,
                registration_id=mine.id,
                deal_id=deal_id,
                amount_minor=DEPOSIT - 7,
                actor=SYSTEM,
                at=clock.now(),
            )
    with sessions.begin() as session:
        (order,) = deposits.release(session, registration_id=mine.id, reason="rest", actor=SYSTEM, at=clock.now())
        assert order.amount_minor == 7
        assert ledger.credit(session, books.receivable(deal_id), currency="CNY") == DEPOSIT - 7
    books_are_square(sessions)


def test_an_order_of_the_clockwork_needs_one_person_and_its_payee_an_account(
    api, people, sessions, clock, statement
) -> None:
    paper = statement()
    paper.line(5_000, "seed")
    (item,) = take_in(api, people, paper)
    source = uuid.uuid4()

    def propose(session):
        return payments.propose_order(
            session,
            payee_organisation_id=people.seller.organisation_id,
            purpose=PaymentPurpose.PAYOUT,
            amount=4_000,
            currency="CNY",
            reference="INV-1",
            source_kind="deal",
            source_id=source,
            actor=SYSTEM,
            at=clock.now(),
        )

    with sessions.begin() as session:
        ledger.post(
            session,
            source_kind="test",
            source_id=source,
            description="",
            lines=books.transfer(
                debit=books.unapplied(uuid.UUID(item["lines"][0]["id"])),
                credit=books.payable(people.seller.organisation_id),
                amount_minor=5_000,
            ),
            currency="CNY",
            value_on=clock.now().date(),
            actor=SYSTEM,
            at=clock.now(),
        )
        order = propose(session)
        assert propose(session).id == order.id
        assert ledger.credit(session, books.payable(people.seller.organisation_id), currency="CNY") == 1_000
    finance, seller = api.as_(people.finance), api.as_(people.seller)
    finance.ok("POST", f"/payment-orders/{order.id}/approve")
    missing = finance.get("/payment-orders/pain001.xml")
    assert (missing.status_code, missing.get_json()["code"]) == (409, "payee_account_missing")
    assert [row["id"] for row in seller.ok("GET", "/payment-orders")["items"]] == [str(order.id)]
    assert api.as_(people.other_seller).get(f"/payment-orders/{order.id}").status_code == 404
    assert api.as_(people.other_seller).ok("GET", "/payment-orders")["items"] == []
    body = {"holder": "东海银行", "number": "DE89370400440532013000", "currency": "CNY"}
    stranger = seller.post("/bank-accounts", json=body | {"organisation_id": str(people.buyer.organisation_id)})
    assert stranger.status_code == 404
    seller.ok("POST", "/bank-accounts", 201, json=body)
    assert len(finance.ok("GET", "/bank-accounts")["items"]) == 1
    assert api.as_(people.buyer).ok("GET", "/bank-accounts")["items"] == []


def test_the_books_are_readable(api, people, sessions, registration, statement, clock) -> None:
    mine = registration()
    paper = statement()
    paper.line(DEPOSIT, mine.reference)
    take_in(api, people, paper)
    auditor = api.as_(people.auditor)
    accounts = auditor.ok("GET", "/ledger-accounts?limit=2")
    assert [row["key"] for row in accounts["items"]] == ["bank", f"deposits:{mine.id}"]
    rest = auditor.ok("GET", f"/ledger-accounts?after={accounts['next']}")
    assert [row["balance"]["amount"] for row in rest["items"]] == ["0.00"]
    before = (clock.now() - timedelta(days=1)).date()
    assert auditor.ok("GET", f"/ledger-accounts?posted_on={before}")["items"] == []
    entries = auditor.ok("GET", f"/ledger-entries?account=deposits:{mine.id}")["items"]
    assert [line["amount"]["amount"] for line in entries[0]["lines"]] == ["100000.00", "-100000.00"]
    assert api.as_(people.seller).get("/ledger-entries").status_code == 403
