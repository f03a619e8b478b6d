"""A made-up loan tape: the same seed gives the same bytes.

Nobody in it can exist. The identity numbers have the right form and check character and a real province, so that age,
sex and province can be derived, but county code 98xx, which GB/T 2260 never assigned (counties end at 90xx); the phone
numbers begin with 120, a block that no Chinese operator holds; company codes belong to the registration office 998xxx,
which does not exist either. Balances, days past due and stages follow the shapes of published packages: log-normal
balances to the cent, a heavy tail of old cards, mortgages only on business loans.

`python -m demo.tape [ROWS] [SEED]` prints the CSV.
"""

import csv
import datetime as dt
import io
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEADERS: Final = (
    "合同编号", "客户编号", "产品类型", "客户类型", "币种", "未偿本金", "未偿利息", "其他费用", "逾期天数", "违约日期",
    "放款日期", "五级分类", "诉讼状态", "是否核销", "担保方式", "授信额度", "省份", "城市", "借款人", "证件号码",
    "手机号", "保证人", "保证人证件号码", "保证人电话", "抵押物类型", "抵押物描述", "抵押物评估价值", "在先抵押金额",
    "最高债权额", "抵押物城市",
)  # fmt: skip
AS_OF_ON: Final = dt.date(2026, 1, 31)

_PLACES: Final = (
    ("44", "广东", ("广州", "深圳", "佛山", "东莞")), ("33", "浙江", ("杭州", "宁波", "温州")),
    ("32", "江苏", ("南京", "苏州", "无锡")), ("37", "山东", ("济南", "青岛")), ("51", "四川", ("成都", "绵阳")),
    ("41", "河南", ("郑州", "洛阳")), ("42", "湖北", ("武汉", "宜昌")), ("43", "湖南", ("长沙", "株洲")),
    ("35", "福建", ("福州", "厦门", "泉州")), ("50", "重庆", ("重庆",)), ("31", "上海", ("上海",)),
    ("61", "陕西", ("西安",)),
)  # fmt: skip
_WEIGHTS_OF_PLACES: Final = (18, 13, 12, 10, 9, 8, 7, 6, 6, 5, 4, 2)
_FAMILY: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红建文辉力鹏志斌宇浩凯雪琳晨欣佳怡俊峰博"
_TRADES: Final = ("五金制品", "服装贸易", "餐饮管理", "建材", "物流", "食品", "电子科技", "家居用品", "农产品", "机械")
_STREETS: Final = ("人民路", "解放路", "中山路", "建设路", "新华路", "和平路", "滨江大道")
_USCC: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_BAD_ROWS: Final = 6


@dataclass(frozen=True)
class Product:
    """A kind of loan: how large, how secured."""

    name: str
    share: int
    median: int
    spread: float
    business: bool = False


_PRODUCTS: Final = (
    Product("信用卡", 52, 18_000, 0.75),
    Product("个人消费贷款", 33, 42_000, 0.65),
    Product("小微企业抵押贷款", 9, 1_150_000, 0.7, business=True),
    Product("小微企业信用贷款", 6, 260_000, 0.6, business=True),
)


def make_tape(rows: int = 2_000, *, seed: int = 20_260_131, bad_rows: bool = False) -> bytes:
    """Return a tape as UTF-8 CSV with Chinese headers; `bad_rows` spoils six rows, each in another way."""
    dice = random.Random(seed)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HEADERS, lineterminator="\n")
    writer.writeheader()
    customers: list[dict[str, str]] = []
    made = [_row(dice, number, customers) for number in range(1, rows + 1)]
    if bad_rows:
        _spoil(made)
    writer.writerows(made)
    return text.getvalue().encode()


def resident_number(province: str, county: int, born: dt.date, serial: int) -> str:
    """Return a well-formed number with a county that was never assigned: 98 and two digits."""
    body = f"{province}98{county:02d}{born:%Y%m%d}{serial:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


def company_code(serial: int) -> str:
    """Return a well-formed unified social credit code of an office that does not exist."""
    body = f"91998{serial % 10:01d}00MA{serial:07d}"
    weights = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
    total = sum(_USCC.index(char) * weight for char, weight in zip(body, weights, strict=True))
    return body + _USCC[(31 - total) % 31]


def _row(dice: random.Random, number: int, customers: list[dict[str, str]]) -> dict[str, str]:
    product = dice.choices(_PRODUCTS, [product.share for product in _PRODUCTS])[0]
    days = _days(dice, product)
    customer = _customer(dice, product, customers)
    row = {
        "合同编号": f"NPL{AS_OF_ON:%y}{number:07d}",
        "产品类型": product.name,
        "币种": "CNY",
        "逾期天数": str(days),
        "违约日期": (AS_OF_ON - dt.timedelta(days=days)).isoformat(),
        "放款日期": (AS_OF_ON - dt.timedelta(days=days + dice.randint(90, 1_500))).isoformat(),
        "五级分类": "损失" if days > 360 else "可疑" if days > 270 else "次级" if days > 90 else "关注",
        "诉讼状态": _stage(dice, days, product),
        "是否核销": "是" if days > 720 and dice.random() < 0.8 else "否",
        **customer,
    }
    return row | _balances(dice, product, days) | _security(dice, row, product)


def _days(dice: random.Random, product: Product) -> int:
    shape = dice.gammavariate(2.2, 330 if product.business else 420)
    return 61 + min(int(shape), 4_000)


def _stage(dice: random.Random, days: int, product: Product) -> str:
    if days < 180 or (not product.business and dice.random() < 0.72):
        return "未诉"
    stages = ("诉讼中", "已诉讼", "仲裁中", "已判未执", "执行中", "终本执行", "已调解")
    return dice.choices(stages, (18, 10, 6, 14, 22, 24, 6))[0]


def _customer(dice: random.Random, product: Product, customers: list[dict[str, str]]) -> dict[str, str]:
    """Mostly somebody new; one in twelve retail borrowers owes on several contracts."""
    if not product.business and customers and dice.random() < 0.08:
        return dice.choice(customers)
    province, name, cities = dice.choices(_PLACES, _WEIGHTS_OF_PLACES)[0]
    serial = len(customers) + 1
    who = {"客户编号": f"C{dice.randrange(10**8):08d}", "省份": name, "城市": dice.choice(cities)}
    if product.business:
        return who | {
            "客户类型": "企业",
            "借款人": f"{who['城市']}{dice.choice(_GIVEN)}{dice.choice(_GIVEN)}{dice.choice(_TRADES)}有限公司",
            "证件号码": company_code(dice.randrange(10**7)),
            "手机号": _phone(dice),
        }
    customers.append(who | {"客户类型": "个人", **_person(dice, province, serial)})
    return customers[-1]


def _person(dice: random.Random, province: str, serial: int) -> dict[str, str]:
    born = dt.date(1962, 1, 1) + dt.timedelta(days=int(dice.betavariate(2.6, 2.2) * 41 * 365))
    return {
        "借款人": _name(dice),
        "证件号码": resident_number(province, serial % 100, born, dice.randrange(1, 1_000)),
        "手机号": _phone(dice),
    }


def _name(dice: random.Random) -> str:
    return dice.choice(_FAMILY) + "".join(dice.choices(_GIVEN, k=dice.choice((1, 2, 2))))


def _phone(dice: random.Random) -> str:
    return f"120{dice.randrange(10**8):08d}"


def _balances(dice: random.Random, product: Product, days: int) -> dict[str, str]:
    principal = max(50_000, round(dice.lognormvariate(0, product.spread) * product.median * 100))
    yearly = 9 if product.business else 18
    interest = principal * yearly * days // 36_500 + dice.randrange(100)
    other = dice.choice((0, 0, dice.randrange(5_000, 300_000)))
    limit = -(-principal * dice.randint(100, 140) // 100 // 100_000) * 100_000
    return {
        "未偿本金": _cents(principal),
        "未偿利息": _cents(interest),
        "其他费用": _cents(other),
        "授信额度": _cents(limit),
    }


def _security(dice: random.Random, row: dict[str, str], product: Product) -> dict[str, str]:
    if not product.business:
        return {"担保方式": "信用"}
    province = next(code for code, name, _ in _PLACES if name == row["省份"])
    guarantor = _person(dice, province, dice.randrange(100))
    guarantee = {
        "保证人": guarantor["借款人"],
        "保证人证件号码": guarantor["证件号码"],
        "保证人电话": guarantor["手机号"],
    }
    if "抵押" not in product.name:
        return {"担保方式": "保证", **guarantee}
    value = dice.randrange(600_000, 4_000_000) // 10_000 * 10_000 * 100
    liens = value * dice.choice((0, 0, 0, 10, 25)) // 100
    house = f"{dice.randrange(1, 400)}号{dice.randrange(1, 30)}-{dice.randrange(101, 2_800)}"
    address = f"{row['城市']}{dice.choice(_STREETS)}{house}"
    return {
        "担保方式": "抵押", **guarantee, "抵押物类型": dice.choice(("住宅", "住宅", "商铺", "厂房")),
        "抵押物描述": address, "抵押物评估价值": _cents(value), "在先抵押金额": _cents(liens),
        "最高债权额": _cents(value * 7 // 10), "抵押物城市": row["城市"],
    }  # fmt: skip


def _cents(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _spoil(rows: list[dict[str, str]]) -> None:
    """Spoil six rows as sellers do: a sign, a sum in words, a mistyped number, wrong word or currency, a key twice."""
    places: Iterator[dict[str, str]] = iter(rows[len(rows) // 7 :: max(1, len(rows) // 8)][:_BAD_ROWS])
    next(places)["未偿本金"] = "-1500.00"
    next(places)["未偿利息"] = "约三千元"
    next(places)["证件号码"] = "449801199013011234"
    next(places)["诉讼状态"] = "不详"
    next(places)["币种"] = "USD"
    next(places)["合同编号"] = rows[0]["合同编号"]


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:3]]
    rows = given[0] if given else 2_000
    sys.stdout.buffer.write(make_tape(rows, seed=given[1]) if given[1:] else make_tape(rows))
