"""The header of an announcement: 17 items of the Chinese market (`rules.md`, Packages and tapes).

`package_header` computes totals, counts and weighted means of any loans; the same function serves the frozen package
and the offline document (`formats/README.md` section 2, `package_header`). Weights are principal + interest.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from marketplace.money import EXACT, Money, Rounding, exponent
from marketplace.packages.domain.package import FrozenCase

_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Loan:
    """What the header needs of one loan; amounts in minor units. `age` and `credit_limit` None: not known."""

    principal: int
    interest: int
    other: int
    days_past_due: int
    borrower: Hashable
    age: int | None = None
    credit_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals, counts and means of loans. A mean of nothing is None; weighted means have two decimals, half-up.

    `weighted_credit_limit` is in major units. Loans whose age or limit is not known do not weigh in that mean.
    """

    principal: Money
    interest: Money
    principal_and_interest: Money
    other: Money
    loans: int
    borrowers: int
    weighted_days_past_due: Decimal | None
    weighted_age: Decimal | None
    weighted_credit_limit: Decimal | None
    max_per_borrower: Money
    mean_per_borrower: Money | None

    def document(self) -> dict[str, Any]:
        """Return the result object of method `package_header`: amounts and means as text."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


def _plain(value: Money | Decimal | int | None) -> str | int | None:
    if isinstance(value, Money):
        return value.text
    return str(value) if isinstance(value, Decimal) else value


def package_header(loans: Iterable[Loan], *, currency: str) -> Totals:
    """Compute the totals of loans in one pass; exact, each figure rounded once.

    Source: `formats/README.md` section 2, fine print 12. The largest and mean balance per borrower are of principal +
    interest. A total beyond a BIGINT raises `InvalidAmount`.
    """
    principal = interest = other = count = days = 0
    ages, limits = [0, 0], [0, 0]
    per_borrower: defaultdict[Hashable, int] = defaultdict(int)
    for loan in loans:
        weight = loan.principal + loan.interest
        principal, interest, other, count = (
            principal + loan.principal,
            interest + loan.interest,
            other + loan.other,
            count + 1,
        )
        days += weight * loan.days_past_due
        per_borrower[loan.borrower] += weight
        if loan.age is not None:
            ages = [ages[0] + weight * loan.age, ages[1] + weight]
        if loan.credit_limit is not None:
            limits = [limits[0] + weight * loan.credit_limit, limits[1] + weight]
    weight = principal + interest
    borrowers = len(per_borrower)
    mean = EXACT.divide(Decimal(weight), Decimal(borrowers)) if borrowers else None
    return Totals(
        principal=Money(principal, currency),
        interest=Money(interest, currency),
        principal_and_interest=Money(weight, currency),
        other=Money(other, currency),
        loans=count,
        borrowers=borrowers,
        weighted_days_past_due=_mean(days, weight),
        weighted_age=_mean(*ages),
        weighted_credit_limit=_mean(limits[0], limits[1] * 10 ** exponent(currency)),
        max_per_borrower=Money(max(per_borrower.values(), default=0), currency),
        mean_per_borrower=None
        if mean is None
        else Money.round(mean.scaleb(-exponent(currency), EXACT), currency, Rounding.HALF_UP),
    )


def _mean(weighted: int, weight: int) -> Decimal | None:
    """Return weighted / weight to two decimals, half-up, from whole numbers."""
    if weight == 0:
        return None
    return (Decimal((weighted * 200 + weight) // (2 * weight)) * _CENT).quantize(_CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class PackageHeader:
    """What an announcement prints of a package. The counts of each breakdown add up to `totals.loans`."""

    cut_off_on: date
    totals: Totals
    grades: Mapping[str, int]
    written_off: Mapping[str, int]
    securities: Mapping[str, int]
    litigations: Mapping[str, int]
    remark: str

    @property
    def principal(self) -> Money:
        """未偿本金总额."""
        return self.totals.principal

    @property
    def interest(self) -> Money:
        """未偿利息总额."""
        return self.totals.interest

    @property
    def principal_and_interest(self) -> Money:
        """未偿本息总额."""
        return self.totals.principal_and_interest

    @property
    def other(self) -> Money:
        """其他费用."""
        return self.totals.other

    @property
    def loans(self) -> int:
        """资产笔数."""
        return self.totals.loans

    @property
    def borrowers(self) -> int:
        """借款人户数."""
        return self.totals.borrowers

    def document(self) -> dict[str, Any]:
        """Return the header as stored and shown: plain JSON, amounts as text in the package's currency."""
        return {
            "currency": self.principal.currency,
            "cut_off_on": self.cut_off_on.isoformat(),
            **self.totals.document(),
            "grades": dict(self.grades),
            "written_off": dict(self.written_off),
            "securities": dict(self.securities),
            "litigations": dict(self.litigations),
            "remark": self.remark,
        }

    @classmethod
    def of_document(cls, stored: Mapping[str, Any]) -> "PackageHeader":
        """Read back what `document` wrote."""
        currency = stored["currency"]
        amounts = ("principal", "interest", "principal_and_interest", "other", "max_per_borrower", "mean_per_borrower")
        means = ("weighted_days_past_due", "weighted_age", "weighted_credit_limit")
        values: dict[str, Any] = {name: _money(stored[name], currency) for name in amounts}
        values |= {name: None if stored[name] is None else Decimal(stored[name]) for name in means}
        return cls(
            cut_off_on=date.fromisoformat(stored["cut_off_on"]),
            totals=Totals(**values, loans=stored["loans"], borrowers=stored["borrowers"]),
            grades=stored["grades"],
            written_off=stored["written_off"],
            securities=stored["securities"],
            litigations=stored["litigations"],
            remark=stored["remark"],
        )


def _money(text: str | None, currency: str) -> Money | None:
    return None if text is None else Money.parse(text, currency)


def frozen_header(cases: Sequence[FrozenCase], *, currency: str, cut_off_on: date, remark: str) -> PackageHeader:
    """Return the header of frozen cases. Age is the year of the cut-off less the year of birth."""
    loans = (
        Loan(
            case.principal,
            case.interest,
            case.other,
            case.days_past_due,
            case.borrower,
            None if case.birth_year is None else cut_off_on.year - case.birth_year,
            case.credit_limit_minor,
        )
        for case in cases
    )
    return PackageHeader(
        cut_off_on=cut_off_on,
        totals=package_header(loans, currency=currency),
        grades=_counted(case.grade or "not_graded" for case in cases),
        written_off=_counted("written_off" if case.written_off else "not_written_off" for case in cases),
        securities=_counted(case.security for case in cases),
        litigations=_counted(case.litigation for case in cases),
        remark=remark,
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
