"""The valuer's part: independence, a signed report, the seller's acceptance; the model is computed beside it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from demo import papers
from demo.cast import Cast
from demo.sale import Sale, money, value

STATEMENT = (
    "本机构及签字评估人员与委托人、债务人、担保人及相关当事人没有现存或预期的利害关系，独立、客观、公正地开展评估。"
)


@dataclass(frozen=True)
class Opinions:
    """What the two opinions say, in yuan; `reserve` is the start price that the appraisal implies."""

    appraisal: Decimal
    model: Decimal
    reserve: Decimal


def appraise(cast: Cast, lot: Sale) -> Opinions:
    """Ask, engage, report, submit, accept; compute the model; return both side by side."""
    package = lot.package["id"]
    firm = cast.valuer.get("/me")["organisation_id"]
    asked = {"valuer_organisation_id": firm, "purpose": "拟转让不良资产包价值评估"}
    appraisal = cast.seller.post(f"/packages/{package}/appraisals", asked)["id"]
    declared = {"independence_statement": STATEMENT, "no_conflicts": True}
    cast.valuer.post(f"/appraisals/{appraisal}/engage", declared)
    model = value(cast.seller.post(f"/packages/{package}/valuations")["value"])
    opinion = (model * Decimal("1.04")).quantize(Decimal(1000))
    report = papers.paper("资产评估报告", [lot.name, f"评估值：人民币 {opinion:,} 元", STATEMENT[:40]], pages=4)
    path = f"/appraisals/{appraisal}/report"
    cast.valuer.upload(path, {}, "评估报告.pdf", report, "application/pdf")
    cast.valuer.post(f"/appraisals/{appraisal}/submit", _submission(opinion))
    cast.seller.post(f"/appraisals/{appraisal}/accept")
    lot.appraised = opinion
    shown = cast.seller.get(f"/packages/{package}/value-opinions")["items"]
    return Opinions(opinion, model, value(shown[0]["implied"]["start_price"]))


def _submission(opinion: Decimal) -> dict[str, object]:
    today = datetime.now(UTC).date()
    return {
        "kind": "full",
        "methods": ["collateral_liquidation", "recovery_curve"],
        "signers": [
            {"name": "沈评估", "certificate_number": "31000001"},
            {"name": "陆评估", "certificate_number": "31000002"},
        ],
        "inspection_statement": "已于基准日后对主要抵押物进行现场勘查，其余资产核对了书面材料。",
        "scope": "仅供本次资产包转让定价参考。",
        "value": money(opinion),
        "valued_on": today.isoformat(),
        "valid_until_on": (today + timedelta(days=180)).isoformat(),
    }
