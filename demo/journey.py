"""The whole journey, from tape to cash, over the public HTTP API: played once on an empty database."""

import json
import os
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from demo import appraising, auctioneering, cast, sale, tape
from demo.auctioneering import Bidder
from demo.bank import ACCOUNT, Movement, camt053, chinese_csv
from demo.cast import Cast
from demo.client import Client
from demo.sale import Sale, value
from demo.terminal import bar, say, step, table

ROWS: Final = 2_000
FIRST: Final = {"products": ["小微企业抵押贷款", "个人消费贷款"]}
SECOND: Final = {"products": ["信用卡"]}


@dataclass
class Journey:
    """What the journey knows so far."""

    url: str
    operator_password: str
    state_path: Path
    cast: Cast = field(init=False)
    bank_balance: Decimal = Decimal(0)
    statements: int = 0
    figures: list[tuple[str, str]] = field(default_factory=list)

    def note(self, name: str, figure: object) -> None:
        """Keep a figure for the closing table."""
        self.figures.append((name, f"{figure:,}" if isinstance(figure, (int, Decimal)) else str(figure)))

    def play(self) -> None:
        """Play every step; any failure ends it with the API's own words."""
        first, second = Sale("江南银行 2026 年第一期不良贷款资产包"), Sale("江南银行 2026 年第二期信用卡资产包")
        with step(1, "机构与用户 organisations") as result:
            self.cast = cast.assemble(self.url, "operator", self.operator_password)
            result(f"{len(self.cast.credentials)} users, {len(self.cast.keys)} API keys")
        self._tape()
        self._package(first, FIRST)
        self._appraise(first)
        self._room(first)
        self._list(first, opens=timedelta(seconds=6), lasts=timedelta(seconds=12), soft_close=4)
        self._deposits(first, step_number=7)
        self._auction(first)
        deal = self._settle(first)
        self._reconcile(deal)
        self._second(second)
        self._keep(second)
        table("结果 What happened", self.figures)

    def _tape(self) -> None:
        with step(2, "资产清单 loan tape") as result:
            content = tape.make_tape(ROWS, bad_rows=True)
            form = {"currency": "CNY", "as_of_on": tape.AS_OF_ON.isoformat(), "on_error": "keep_good"}
            sent = self.cast.seller.upload("/tapes", form, "资产清单.csv", content, "text/csv")
            self.cast.seller.wait_for_job(sent["job_id"], seconds=60, show=bar("tape"))
            read = self.cast.seller.get(f"/tapes/{sent['id']}")
            errors = self.cast.seller.download(f"/tapes/{sent['id']}/errors.csv")
            good = read["rows"] - read["bad_rows"]
            result(f"{good} cases, {read['bad_rows']} rows refused ({len(errors)} bytes of reasons)")
            self.note("案件导入 cases imported", good)
            self.note("错误行 rows refused with reasons", read["bad_rows"])

    def _package(self, lot: Sale, criteria: dict[str, Any]) -> None:
        with step(3, "资产包 package") as result:
            sale.bundle(self.cast, lot, criteria, cut_off_on=tape.AS_OF_ON)
            header = lot.package["header"]
            result(f"{header['loans']} loans, {header['borrowers']} borrowers, {header['principal_and_interest']} CNY")
            self.note("资产笔数 loans in the package", header["loans"])
            self.note("未偿本息 principal and interest", Decimal(header["principal_and_interest"]))

    def _appraise(self, lot: Sale) -> None:
        with step(4, "评估 appraisal and model") as result:
            opinions = appraising.appraise(self.cast, lot)
            result(f"appraised at {lot.appraised:,}; model {opinions.model:,}; reserve implied {opinions.reserve:,}")
            self.note("评估值 appraisal", lot.appraised)
            self.note("模型估值 model", opinions.model)

    def _room(self, lot: Sale) -> None:
        with step(5, "数据室 data room") as result:
            documents = sale.fill_room(self.cast, lot)
            copies = sale.examine(self.cast, lot)
            disclosures = self.cast.seller.get(f"/rooms/{lot.room_id}/disclosures")["items"]
            result(f"{documents} documents, {len(disclosures)} disclosures recorded, {copies:,} bytes of marked copies")
            self.note("披露记录 disclosures", len(disclosures))

    def _list(self, lot: Sale, *, opens: timedelta, lasts: timedelta, soft_close: int) -> None:
        with step(6, "挂牌与报名 listing, registrations") as result:
            sale.publish(self.cast, lot, opens=opens, lasts=lasts, soft_close=soft_close)
            sale.register(self.cast, lot)
            result(f"start {lot.start:,} CNY, deposit {lot.deposit:,}, {len(lot.registrations)} bidders approved")
            self.note("起始价 start price", lot.start)

    def _deposits(self, lot: Sale, *, step_number: int) -> None:
        with step(step_number, "保证金 deposits by wire") as result:
            self._statement(sale.deposit_wires(self.cast, lot, step_number), as_csv=False)
            covered = [
                self.cast.buyers[short].get(f"/registrations/{registration['id']}")["covered"]
                for short, registration in lot.registrations.items()
            ]
            result(f"camt.053 imported, {sum(covered)} of {len(covered)} registrations covered")

    def _statement(self, movements: list[Movement], *, as_csv: bool) -> Any:
        """The bank books movements; finance imports the statement, twice, as people do."""
        if not self.statements:
            self._own_account()
        self.statements += 1
        day, opening = date.today(), self.bank_balance  # noqa: DTZ011 - the bank's own calendar
        self.bank_balance += sum((movement.amount for movement in movements), Decimal(0))
        form: dict[str, str] = {}
        if as_csv:
            name, media_type = f"流水{self.statements}.csv", "text/csv"
            content = chinese_csv(movements, day=day, opening=opening)
            form = {"account": ACCOUNT, "currency": "CNY"}
        else:
            name, media_type = f"statement{self.statements}.xml", "application/xml"
            content = camt053(movements, number=f"STMT{self.statements:04}", day=day, opening=opening)
        imported = self.cast.finance.upload("/bank-statements", form, name, content, media_type)
        self.cast.finance.upload("/bank-statements", form, name, content, media_type)
        return imported

    def _own_account(self) -> None:
        """Finance registers the trust account; the bank's statements of any other are refused."""
        body = {
            "bank_name": "工商银行（演示）",
            "holder": "不良资产交易平台（演示）",
            "number": ACCOUNT,
            "opening": {"amount": f"{self.bank_balance:.2f}", "currency": "CNY"},
            "four_eyes_above": {"amount": "100000.00", "currency": "CNY"},
        }
        self.cast.finance.post("/own-accounts", body)

    def _auction(self, lot: Sale) -> None:
        with step(8, "竞价 live auction") as result:
            auctioneering.wait_until_open(self.cast.auditor, lot)
            bidders = [
                Bidder(short, Client(self.url, key), (lot.start * limit).quantize(sale.ROUND_SUM), pause, seed)
                for (short, key), limit, pause, seed in zip(
                    self.cast.keys.items(),
                    map(Decimal, ("1.55", "1.5", "1.3")),
                    (0.8, 0.9, 1.2),
                    (3, 5, 7),
                    strict=True,
                )
            ]
            codes = auctioneering.refusals(lot, self.cast.seller, bidders[0].client)
            auctioneering.compete(bidders, lot)
            standing = self.cast.auditor.get(f"/auctions/{lot.auction_id}")
            result(
                f"{standing['sequence']} bids, {standing['extensions']} extensions, "
                f"{standing['leader']} at {value(standing['price']):,} CNY (refused on the way: {', '.join(codes)})"
            )
            self.note("出价 bids accepted", standing["sequence"])
            self.note("延时 extensions", standing["extensions"])
            self.note("成交价 hammer price", value(standing["price"]))

    def _settle(self, lot: Sale) -> Any:
        with step(9, "结算 settlement") as result:
            deal = self._await_deal(lot)
            winner = next(
                short
                for short, made in lot.registrations.items()
                if made["organisation_id"] == deal["buyer_organisation_id"]
            )
            account = {"holder": "江南商业银行（演示）", "number": "6228000000000000001", "currency": "CNY"}
            self.cast.seller.post(
                "/bank-accounts", account | {"bank_name": "江南商业银行", "bank_code": "102100099996"}
            )
            balance = value(deal["due"])
            remittance = f"资产包转让余款 {deal['reference']}"
            self._statement([sale.wire(self.cast, winner, balance, remittance, "090001")], as_csv=True)
            self.cast.seller.post(f"/deals/{deal['id']}/sign-contract")
            self.cast.buyers[winner].post(f"/deals/{deal['id']}/sign-contract")
            ended = {"settled"}
            path = f"/deals/{deal['id']}"
            deal = self.cast.finance.wait_for(path, lambda answer: answer["state"] in ended, seconds=60)
            paid = self._pay_orders()
            result(f"net {value(deal['net']):,} over {deal['case_count']} cases; {paid} payment orders paid")
            self.note("分摊案件 cases with proceeds", deal["case_count"])
            self.note("净额 net proceeds", value(deal["net"]))
            return deal

    def _await_deal(self, lot: Sale) -> Any:
        def mine(answer: Any) -> list[Any]:
            return [deal for deal in answer["items"] if deal["listing_id"] == lot.listing["id"]]

        return mine(self.cast.finance.wait_for("/deals", lambda answer: bool(mine(answer)), seconds=60))[0]

    def _pay_orders(self) -> int:
        """Approve (a second person), send, and let the bank book every proposed order."""
        orders = self.cast.finance.get("/payment-orders?state=proposed&limit=200")["items"]
        movements = []
        for number, order in enumerate(orders):
            self.cast.second_finance.post(f"/payment-orders/{order['id']}/approve")
            self.cast.finance.post(f"/payment-orders/{order['id']}/send")
            amount = -value(order["amount"])
            words = f"{order['reference']} {order['remittance']}"
            movements.append(Movement(amount, f"BK10{number:04}", words, order["payee_name"], order["payee_account"]))
        self._statement(movements, as_csv=True)
        settled = self.cast.finance.get("/payment-orders?state=settled&limit=200")["items"]
        return len(settled)

    def _reconcile(self, deal: Any) -> None:
        with step(10, "对账 reconciliation") as result:
            figures = self.cast.finance.get(f"/deals/{deal['id']}/reconciliation")
            folder = self.state_path.parent / "demo"
            folder.mkdir(exist_ok=True)
            for kind in ("xlsx", "pdf"):
                content = self.cast.finance.download(f"/deals/{deal['id']}/reconciliation.{kind}")
                (folder / f"reconciliation.{kind}").write_bytes(content)
            allocations = self.cast.finance.get(f"/deals/{deal['id']}/allocations?limit=1")["items"]
            trail = self.cast.auditor.get(f"/cases/{allocations[0]['case_id']}/money-trail")
            lines = [line for entry in trail["deals"][0]["entries"] for line in entry["lines"]]
            result(f"difference {figures['difference']['amount']}; one case leads back to {len(lines)} bank lines")
            self.note("对账差额 difference", figures["difference"]["amount"])

    def _second(self, lot: Sale) -> None:
        with step(11, "第二场竞价 a second auction") as result:
            sale.bundle(self.cast, lot, SECOND, cut_off_on=tape.AS_OF_ON)
            appraising.appraise(self.cast, lot)
            sale.fill_room(self.cast, lot)
            sale.examine(self.cast, lot)
            sale.publish(self.cast, lot, opens=timedelta(seconds=5), lasts=timedelta(hours=3), soft_close=300)
            sale.register(self.cast, lot)
            self._statement(sale.deposit_wires(self.cast, lot, 11), as_csv=False)
            auctioneering.wait_until_open(self.cast.auditor, lot)
            result(f"open until {auctioneering.remaining(lot.listing['ends_at'])}")

    def _keep(self, lot: Sale) -> None:
        """Write down what the bidders and `make run` need later; readable by the owner only."""
        state = {
            "url": self.url, "auction_id": lot.auction_id, "listing_id": lot.listing["id"], "start": f"{lot.start:.2f}",
            "step": f"{lot.step:.2f}",
            "ends_at": lot.listing["ends_at"], "keys": self.cast.keys, "credentials": self.cast.credentials,
        }  # fmt: skip
        self.state_path.touch(mode=0o600)
        self.state_path.write_text(json.dumps(state, ensure_ascii=False, indent=1))


def show() -> None:
    """Print the addresses and the demonstration's credentials."""
    state, url = auctioneering.load_state(), os.environ.get("DEMO_URL", "")
    url = url or state["url"]
    say()
    say(f"网页 pages         {url}/")
    say(f"接口 API            {url}/api/docs")
    say(
        f"竞价 live auction   {url}/auctions/{state['auction_id']}  (until {auctioneering.remaining(state['ends_at'])})"
    )
    table("演示用户 demo credentials", [(login, password) for login, password in state["credentials"].items()])
