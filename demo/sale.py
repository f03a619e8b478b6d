"""One sale of the demonstration, step by step: tape, package, appraisal, data room, listing, deposits."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from demo import papers
from demo.bank import Movement
from demo.cast import Cast
from demo.client import Client

ROUND_SUM: Final = Decimal("1E4")
CENTS: Final = Decimal("0.00")
CURRENCY = "CNY"
NDA_ZH: Final = "买方承诺对数据室内的全部资料保密，仅用于评估本资产包，未经卖方书面同意不得向第三方披露。"
NDA_EN: Final = "The buyer keeps everything in this data room confidential and uses it to assess this package only."


@dataclass
class Sale:
    """What is known of a sale so far; ids are those of the API."""

    name: str
    package: dict[str, Any] = field(default_factory=dict)
    room_id: str = ""
    appraised: Decimal = Decimal(0)
    start: Decimal = Decimal(0)
    step: Decimal = Decimal(0)
    deposit: Decimal = Decimal(0)
    listing: dict[str, Any] = field(default_factory=dict)
    registrations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def auction_id(self) -> str:
        """The auction of the published listing."""
        return str(self.listing["auction_id"])


def money(amount: Decimal) -> dict[str, str]:
    """An amount as the API wants it, in the currency of the sale."""
    return {"amount": f"{amount:.2f}", "currency": CURRENCY}


def value(amount: dict[str, str]) -> Decimal:
    """An amount as the API gives it."""
    return Decimal(amount["amount"])


def instant(at: datetime) -> str:
    """An instant as the API wants it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bundle(cast: Cast, sale: Sale, criteria: dict[str, Any], *, cut_off_on: date) -> None:
    """Bundle cases by filter and freeze them at the cut-off date."""
    made = cast.seller.post("/packages", {"name": sale.name, "currency": "CNY", "filter": criteria})
    sale.package = cast.seller.post(f"/packages/{made['id']}/freeze", {"cut_off_on": cut_off_on.isoformat()})


def fill_room(cast: Cast, sale: Sale) -> int:
    """Open a data room with folders and papers; return how many documents were read and may be given out."""
    seller = cast.seller
    room = seller.post("/rooms", {"package_id": sale.package["id"], "access": "licensed_buyers"})["id"]
    seller.post(f"/rooms/{room}/agreement-versions", {"text_zh": NDA_ZH, "text_en": NDA_EN})
    documents = []
    for folder, titles in {
        "合同样本 Contracts": ["借款合同样本", "抵押合同样本"],
        "诉讼材料 Litigation": ["诉讼情况说明"],
        "权属证明 Title": ["抵押物清单"],
    }.items():
        made = seller.post(f"/rooms/{room}/folders", {"name": folder})
        for title in titles:
            content = papers.paper(title, [f"资产包：{sale.name}", "本文件由演示程序生成。", "Generated."], pages=3)
            form = {"title": title, "folder_id": made["id"]}
            path = f"/rooms/{room}/documents"
            documents.append(seller.upload(path, form, f"{title}.pdf", content, "application/pdf"))
    for document in documents:
        seller.wait_for_job(document["versions"][0]["job_id"], seconds=60)
    seller.post(f"/rooms/{room}/open", {})
    sale.room_id = room
    index = seller.get(f"/rooms/{room}/index")
    return sum(document["versions"][0]["deliverable"] for document in index["documents"])


def examine(cast: Cast, sale: Sale) -> int:
    """Every buyer accepts the agreement and takes marked copies; return how many bytes of copies were read."""
    read = 0
    for buyer in cast.buyers.values():
        agreement = buyer.get(f"/rooms/{sale.room_id}/agreement")
        buyer.post(f"/rooms/{sale.room_id}/agreement/accept", {"sha256": agreement["sha256"]})
        index = buyer.get(f"/rooms/{sale.room_id}/index")
        link = buyer.post(f"/documents/{index['documents'][0]['id']}/links")
        read += len(buyer.download(link["url"]))
        tape = buyer.post(f"/rooms/{sale.room_id}/tape-links")
        read += len(buyer.download(tape["url"]))
    return read


def publish(cast: Cast, sale: Sale, *, opens: timedelta, lasts: timedelta, soft_close: int) -> None:
    """Draft the listing, see that it is ready, publish it. Registration closes when bidding opens."""
    sale.start = (sale.appraised * Decimal("0.7")).quantize(ROUND_SUM, rounding="ROUND_UP") + CENTS
    sale.step = (sale.start / 50).quantize(ROUND_SUM, rounding="ROUND_UP") + CENTS
    sale.deposit = (sale.start / 10).quantize(Decimal("0.01"))
    opens_at = datetime.now(UTC) + opens
    terms = {
        "package_id": sale.package["id"],
        "title_zh": f"{sale.name}转让公告",
        "title_en": f"Sale of {sale.name}",
        "description": "演示资产包。不得再次对外转让。Demonstration package; no resale.",
        "start_price": money(sale.start),
        "reserve_price": money(sale.start + sale.step),
        "increment": {"kind": "fixed", "amount": f"{sale.step:.2f}"},
        "deposit": money(sale.deposit),
        "registration_closes_at": instant(opens_at),
        "opens_at": instant(opens_at),
        "ends_at": instant(opens_at + lasts),
        "soft_close_window_seconds": soft_close,
        "soft_close_extension_seconds": soft_close,
    }
    listing = cast.seller.post("/listings", terms)
    readiness = cast.seller.get(f"/listings/{listing['id']}/readiness")
    if not readiness["ready"]:
        raise RuntimeError(f"not ready: {readiness['missing']}")
    sale.listing = cast.seller.post(f"/listings/{listing['id']}/publish")


def register(cast: Cast, sale: Sale) -> None:
    """Every buyer registers; compliance approves."""
    for short, buyer in cast.buyers.items():
        made = buyer.post(f"/listings/{sale.listing['id']}/registrations")
        cast.compliance.post(f"/registrations/{made['id']}/approve")
        sale.registrations[short] = made


def deposit_wires(cast: Cast, sale: Sale, number: int) -> list[Movement]:
    """The wires of all buyers' deposits, as the bank books them."""
    return [
        wire(cast, short, sale.deposit, f"竞价保证金 {registration['reference']}", f"{number:02}{place:04}")
        for place, (short, registration) in enumerate(sale.registrations.items())
    ]


def wire(cast: Cast, short: str, amount: Decimal, remittance: str, serial: str) -> Movement:
    """A wire from a buyer's account."""
    account = f"62220000{list(cast.buyers).index(short):011d}"
    return Movement(amount, f"BK{serial}", remittance, cast.names[short], account)


def bid(client: Client, sale: Sale, amount: Decimal) -> Any:
    """Place a bid; a refusal is an `ApiProblem` with a stable code."""
    return client.post(f"/auctions/{sale.auction_id}/bids", {"amount": money(amount)})
