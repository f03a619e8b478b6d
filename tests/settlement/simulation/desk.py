"""The desk's side of the simulated market: buyers and finance at their work, and a bank that is not honest."""

import io
from random import Random
from typing import Any

from marketplace.actor import SYSTEM
from settlement import client_money, periods
from tests.settlement.deals.test_defaults import fail

EURO = "110000002"


class Desk:
    """Deeds of buyers, of finance and of the bank. Each does what can be done now, or nothing."""

    sale: Any
    running: Any
    random: Random
    finance: Any
    admin: Any
    may_default: bool
    awarded: bool
    defaulted: bool
    known_third: bool
    euros: int
    charges: list[tuple[str, int]]
    changes: list[tuple[str, int]]
    paid: set[str]

    def deals(self) -> list[Any]:
        """Deals that stand."""
        return [deal for deal in self.finance.ok("GET", "/deals")["items"] if deal["state"] != "cancelled"]

    def buyer_of(self, deal: Any) -> str:
        mine = deal["buyer_organisation_id"] == str(self.sale.people.buyer.organisation_id)
        return "buyer" if mine else "other_buyer"

    def sign(self) -> None:
        for deal in self.deals():
            buyer = getattr(self.sale.people, self.buyer_of(deal))
            self.sign_as(deal, self.random.choice([self.sale.people.seller, buyer]))

    def sign_as(self, deal: Any, who: Any) -> None:
        """Sign; an award that failed meanwhile takes no signature any more."""
        answer = self.sale.api.as_(who).post(f"/deals/{deal['id']}/sign-contract")
        assert answer.status_code == 200 or (answer.status_code == 409 and self.defaulted), answer.text

    def default(self) -> None:
        """The winner does not keep its word, once, while nothing was distributed."""
        early = {"awaiting_payment", "signed"}
        if not self.may_default or not self.awarded or self.defaulted:
            return
        if all(deal["state"] in early and deal["seller_signed_at"] is None for deal in self.deals()):
            fail(self.sale)
            self.defaulted = True

    def pay(self) -> None:
        """The buyer pays a part, all of it, or too much."""
        for deal in self.deals():
            due = minor(deal["due"])
            amount = self.random.choice([due, due, due // 3 or 1, due + 7])
            if amount:
                self.sale.statement((amount, f"余款 {deal['reference']}", self.buyer_of(deal)))

    def standing(self, deal: Any) -> list[Any]:
        found = self.finance.ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]
        return [one for one in reversed(found) if one["status"] not in {"paid", "cancelled"}]

    def notice(self) -> None:
        """The buyer pays what its next notice asks for, by its reference or by its cents alone."""
        for deal in self.deals():
            for notice in self.standing(deal)[:1]:
                words = "no reference" if notice["tail"]["amount"] != "0.00" else notice["printed_reference"]
                self.sale.statement((minor(notice["amount"]), words, self.buyer_of(deal)))

    def plan(self) -> None:
        """Finance lets the rest be paid in two parts, each with a cent tail."""
        for deal in self.deals():
            due = minor(deal["due"])
            if due < 2 or deal["state"] not in {"awaiting_payment", "signed"}:
                continue
            found = self.finance.ok("GET", f"/payment-notices?deal_id={deal['id']}")["items"]
            for one in found:
                if one["cancelled_because"] is None:
                    self.finance.ok("POST", f"/payment-notices/{one['id']}/cancel", json={"reason": "in parts"})
            parts = [
                {"amount": money(due // 2), "due_on": "2026-03-10"},
                {"amount": money(due - due // 2), "due_on": "2026-03-20"},
            ]
            body = {"parts": parts, "cent_tail": True}
            self.finance.ok("POST", f"/deals/{deal['id']}/payment-notices", 201, json=body)

    def third(self) -> None:
        """Somebody else pays a part for the buyer: it counts for nothing before two persons say so."""
        for deal in self.deals():
            if minor(deal["due"]) > 100:
                line = self.sale.statement((100, deal["reference"], "母公司"))["items"][0]["lines"][0]
                assert line["finding"] == "third_party_payer" or self.known_third, line

    def decide_third(self) -> None:
        lines = self.finance.ok("GET", "/statement-lines?open=true&finding=third_party_payer")["items"]
        for line in lines[:1]:
            deals = [deal for deal in self.deals() if deal["reference"] in line["remittance"] and minor(deal["due"])]
            url = f"/statement-lines/{line['id']}"
            if not deals or self.random.random() < 0.5:
                self.finance.ok("POST", f"{url}/refund", 201, json={"reason": "to the sender"})
                continue
            upload = {"data": {"file": (io.BytesIO(b"%PDF-1.7"), "x.pdf")}, "content_type": "multipart/form-data"}
            kept = self.finance.ok("POST", f"{url}/documents", 201, **upload)
            body = {"reference": deals[0]["reference"], "document_id": kept["id"], "reason": "the parent company"}
            proposal = self.finance.ok("POST", f"{url}/match", json=body)["proposals"][-1]
            self.admin.ok("POST", f"/match-proposals/{proposal['id']}/approve")
            self.known_third = True

    def unmatch(self) -> None:
        """A person takes a match back; what stands by its nature is refused and nothing changes."""
        lines = self.finance.ok("GET", "/statement-lines?limit=200")["items"]
        found = [match for line in lines for match in line["matches"]]
        if found:
            match = self.random.choice(found)
            answer = self.finance.post(f"/matches/{match['id']}/unmatch", json={"reason": "a mistake"})
            refused = {"match_stands", "payment_stands", "account_overdrawn", "leading", "day_closed"}
            assert answer.status_code == 200 or answer.get_json()["code"] in refused, answer.text

    def rematch(self) -> None:
        """What was taken back is matched with what the text names, where that takes it still."""
        lines = self.finance.ok("GET", "/statement-lines?open=true&finding=unmatched")["items"]
        for line in [one for one in lines if "STRIPE" not in one["remittance"]][:1]:
            named = line["remittance"].split()[-1]
            answer = self.finance.post(f"/statement-lines/{line['id']}/match", json={"reference": named})
            refused = {"does_not_match", "third_party_undocumented", "nothing_to_match"}
            assert answer.status_code == 200 or answer.get_json()["code"] in refused, answer.text

    def bank_returns(self) -> None:
        """The bank sends a payment back whole: its account is closed."""
        paid = self.wires("settled")
        if paid:
            order = self.random.choice(paid)
            back = self.sale.statement((minor(order["amount"]), f"退汇 {order['reference']}", "bank"))
            assert back["items"][0]["lines"][0]["finding"] == "returned"

    def repeat(self) -> None:
        for order in self.orders("returned"):
            answer = self.finance.post(f"/payment-orders/{order['id']}/repeat")
            assert answer.status_code == 201 or answer.get_json()["code"] == "account_overdrawn", answer.text

    def change(self) -> None:
        """Yuan are changed into euros: one line of each account."""
        if not self.euros:
            account = {"bank_name": "工商银行", "holder": "市场运营方", "number": EURO,
                       "opening": {"amount": "0.00", "currency": "EUR"},
                       "four_eyes_above": {"amount": "1.00", "currency": "EUR"}}  # fmt: skip
            self.finance.ok("POST", "/own-accounts", 201, json=account)
        sold = self.sale.statement((-7_00, "FX", "bank"))["items"][0]["lines"][0]["id"]
        self.euros += 1_00
        rows = ["date,amount,balance,remittance,counterparty,counterparty account,reference",
                f"2026-03-02,1.00,{self.euros / 100:.2f},FX,bank,,E{self.euros}"]  # fmt: skip
        file = (io.BytesIO("\n".join(rows).encode()), "euro.csv")
        data = {"file": file, "account": EURO, "currency": "EUR"}
        bought = self.finance.ok("POST", "/bank-statements", 201, data=data)["items"][0]["lines"][0]["id"]
        body = {"sold_line_id": sold, "bought_line_id": bought, "reason": "needed"}
        self.changes.append((self.finance.ok("POST", "/currency-changes", 201, json=body)["id"], 7_00))

    def agree(self) -> None:
        if self.changes:
            change, _ = self.changes[0]
            answer = self.admin.post(f"/currency-changes/{change}/approve")
            if answer.status_code == 200:
                self.changes.pop(0)
            else:
                assert answer.get_json()["code"] == "lines_changed", answer.text

    def stray(self) -> None:
        """Money that nobody knows what it is for, and a deposit that is paid twice."""
        self.sale.statement((12_34, "no reference", "third_buyer"))
        self.sale.statement((100_00, self.sale.references["third_buyer"], "third_buyer"))

    def again(self) -> None:
        """A client that never got its answer asks again under the same key."""
        key = f"again-{self.random.random()}"
        first = self.finance.ok("POST", "/client-money-checks", 201, key=key)
        assert self.finance.ok("POST", "/client-money-checks", 201, key=key) == first

    def refund(self) -> None:
        lines = self.finance.ok("GET", "/statement-lines?open=true")["items"]
        back = [line for line in lines if minor(line["open"]) > 0 and line["amount"]["currency"] == "CNY"]
        back = [line for line in back if "STRIPE" not in line["remittance"]]
        if back:
            line = self.random.choice(back)
            self.finance.ok("POST", f"/statement-lines/{line['id']}/refund", 201, json={"reason": "back"})

    def orders(self, state: str) -> list[Any]:
        return self.finance.ok("GET", f"/payment-orders?state={state}")["items"]

    def wires(self, state: str) -> list[Any]:
        """Those that a bank pays; the others are carried out by workers."""
        return [order for order in self.orders(state) if order["rail"] == "wire"]

    def move(self, state: str, verb: str, client: Any, **more: Any) -> None:
        """Move an order; refused only while the client-money check fails."""
        orders = [
            one
            for one in (self.wires if verb == "send" else self.orders)(state)
            if verb != "cancel" or one["purpose"] != "payout"
        ]
        if orders:
            answer = client.post(f"/payment-orders/{self.random.choice(orders)['id']}/{verb}", **more)
            if answer.status_code != 200:
                assert answer.get_json()["code"] == "client_money_check_failed", answer.text

    def approve(self) -> None:
        self.move("proposed", "approve", self.admin)

    def send(self) -> None:
        self.move("approved", "send", self.finance)

    def cancel(self) -> None:
        self.move("proposed", "cancel", self.finance, json={"reason": "not now"})

    def bank_pays(self) -> None:
        waiting = [order for order in self.wires("sent") if order["id"] not in self.paid]
        if waiting:
            order = self.random.choice(waiting)
            self.paid.add(order["id"])
            self.sale.statement((-minor(order["amount"]), order["reference"], "payee"))

    def charge(self) -> None:
        answer = self.sale.statement((-5_00, "fee", "bank"))
        line = answer["items"][0]["lines"][0]
        self.charges.append((line["id"], 5_00))

    def explain(self) -> None:
        """Two persons book what the bank took for its work."""
        if self.charges:
            line, amount = self.charges.pop(0)
            lines = [
                {"account": "bank_charges", "amount": money(amount)},
                {"account": f"unexplained:{line}", "amount": money(-amount)},
            ]
            body = {"lines": lines, "value_on": "2026-03-02", "reason": "the bank's fee"}
            proposed = self.finance.ok("POST", "/ledger-corrections", 201, json=body)
            self.admin.ok("POST", f"/ledger-corrections/{proposed['id']}/approve")

    def close(self) -> None:
        with self.running.sessions.begin() as session:
            periods.close_days(session, actor=SYSTEM, at=self.sale.clock.now())

    def check(self) -> None:
        with self.running.sessions.begin() as session:
            client_money.check_due(session, self.sale.clock.now())


def minor(amount: dict[str, str]) -> int:
    return int(amount["amount"].replace(".", ""))


def money(amount: int) -> dict[str, str]:
    return {"amount": f"{'-' * (amount < 0)}{abs(amount) // 100}.{abs(amount) % 100:02d}", "currency": "CNY"}
