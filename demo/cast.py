"""Who takes part in the demonstration: made by the operator over the API, each with credentials of its own."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stdnum.cn import uscc

from demo.client import Client

PLACES: Final = {"seller": "32", "national": "11", "jiangsu": "32", "zhejiang": "33", "valuer": "31"}


@dataclass(frozen=True)
class Organisation:
    """An organisation of the demonstration and how its people come in."""

    id: str
    name: str
    logins: dict[str, str]


@dataclass
class Cast:
    """Clients of everybody. `buyers` are keyed by a short name and use API keys for bidding."""

    operator: Client
    compliance: Client
    finance: Client
    second_finance: Client
    auditor: Client
    seller: Client
    valuer: Client
    buyers: dict[str, Client]
    names: dict[str, str]
    credentials: dict[str, str]
    keys: dict[str, str]


def assemble(url: str, operator_login: str, operator_password: str) -> Cast:
    """Create organisations, users, licences and keys; return everybody signed in."""
    operator = Client(url).sign_in(operator_login, operator_password)
    password = "demo-" + secrets.token_urlsafe(9)
    credentials = {operator_login: operator_password}
    house = operator.get("/me")["organisation_id"]
    maker = _Maker(operator, password, credentials)
    maker.user(house, "compliance", "合规 林审", ["operator_compliance"])
    maker.user(house, "finance", "财务 钱进", ["operator_finance"])
    maker.user(house, "finance2", "财务 复核", ["operator_finance"])
    maker.organisation("auditor", "明镜会计师事务所", "audit_firm", 1, {"auditor": ["auditor"]})
    bank = {"seller": ["seller_manager"], "agent": ["seller_agent"]}
    maker.organisation("seller", "江南商业银行（演示）", "bank", 2, bank)
    buyers = {
        "huaxin": ("华信资产管理（演示）", "national_amc", 3, "11"),
        "suhui": ("苏汇金融资产投资（演示）", "aic", 4, "32"),
        "qianjiang": ("钱江资产管理（演示）", "national_amc", 5, "33"),
    }
    made: dict[str, str] = {}
    for short, (name, licence, number, province) in buyers.items():
        users = {short: ["buyer_bidder"], f"{short}-analyst": ["buyer_analyst"]}
        made[short] = maker.organisation("buyer", name, licence, number, users, province)
    maker.organisation("valuer", "公允资产评估（演示）", "valuation_firm", 6, {"valuer": ["valuer_appraiser"]})
    people = {login: Client(url).sign_in(login, word) for login, word in credentials.items() if login != operator_login}
    keys = {short: _key(people[short], organisation) for short, organisation in made.items()}
    return Cast(
        operator=operator, compliance=people["compliance"], finance=people["finance"],
        second_finance=people["finance2"], auditor=people["auditor"], seller=people["seller"], valuer=people["valuer"],
        buyers={short: people[short] for short in buyers}, names={short: entry[0] for short, entry in buyers.items()},
        credentials=credentials, keys=keys,
    )  # fmt: skip


class _Maker:
    """Makes organisations and users as the operator."""

    def __init__(self, operator: Client, password: str, credentials: dict[str, str]) -> None:
        self.operator = operator
        self.password = password
        self.credentials = credentials

    def organisation(
        self, kind: str, name: str, licence: str, number: int, users: dict[str, list[str]], province: str = "32"
    ) -> str:
        """Create, license and approve one organisation with its users; return its id."""
        body = f"91{province}0000{number:09d}"
        made = self.operator.post(
            "/organisations",
            {"name": name, "kind": kind, "uscc": body + uscc.calc_check_digit(body), "province": province},
        )
        licence_made: Any = self.operator.post(
            f"/organisations/{made['id']}/licences",
            {"kind": licence, "number": f"演示-{number:04d}", "issuer": "演示监管机构", "valid_from_on": "2024-01-01"},
        )
        self.operator.post(f"/organisations/{made['id']}/approve")
        self.operator.post(f"/licences/{licence_made['id']}/approve")
        for login, roles in users.items():
            self.user(made["id"], login, f"{name[:2]} {login}", roles)
        return str(made["id"])

    def user(self, organisation: str, login: str, name: str, roles: list[str]) -> None:
        """Create a user with the demonstration's password."""
        body = {"login": login, "name": name, "roles": roles, "password": self.password}
        self.operator.post(f"/organisations/{organisation}/users", body)
        self.credentials[login] = self.password


def _key(bidder: Client, organisation: str) -> str:
    expires = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="milliseconds")
    body = {"name": "竞价程序", "roles": ["buyer_bidder"], "scopes": ["read", "write", "bid"], "expires_at": expires}
    return str(bidder.post(f"/organisations/{organisation}/api-keys", body)["secret"])
