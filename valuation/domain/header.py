"""The method `package_header`: the totals, counts and weighted means that an announcement prints, of any loans.

The figures are computed by `marketplace.packages`, which does the same for a package that is frozen.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from marketplace.money import InvalidAmount, exponent
from marketplace.packages.domain import header
from valuation.domain.figures import Answer, ResultTooLarge, Step
from valuation.domain.inputs import Amount, Inputs, MoneyInputs, count

_MOST = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLoan(Inputs):
    """One loan of a tape."""

    principal: Amount
    interest: Amount
    other: Amount
    days_past_due: Annotated[int, count(0, _MOST)]
    age: Annotated[int, count(0, _MOST)]
    credit_limit: Amount
    borrower: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageHeader(MoneyInputs):
    """The loans of a package."""

    loans: tuple[HeaderLoan, ...]


@dataclass(frozen=True, slots=True)
class PackageHeaderResult:
    """Weights are principal + interest of the loan. A mean of nothing is None."""

    principal: Decimal
    interest: Decimal
    principal_and_interest: Decimal
    other: Decimal
    loans: int
    borrowers: int
    weighted_days_past_due: Decimal | None
    weighted_age: Decimal | None
    weighted_credit_limit: Decimal | None
    max_per_borrower: Decimal
    mean_per_borrower: Decimal | None


def package_header(inputs: PackageHeader) -> Answer:
    """Compute the header of loans; raises `ResultTooLarge` for totals that no account of ours could hold."""
    places = exponent(inputs.currency)

    def minor(amount: Decimal) -> int:
        return int(amount.scaleb(places))

    loans = (
        header.Loan(
            principal=minor(loan.principal),
            interest=minor(loan.interest),
            other=minor(loan.other),
            days_past_due=loan.days_past_due,
            borrower=loan.borrower,
            age=loan.age,
            credit_limit=minor(loan.credit_limit),
        )
        for loan in inputs.loans
    )
    try:
        totals = header.package_header(loans, currency=inputs.currency)
    except InvalidAmount:
        raise ResultTooLarge from None
    return Answer(_result(totals), [Step("principal and interest", totals.principal_and_interest.to_decimal())])


def _result(totals: header.Totals) -> PackageHeaderResult:
    mean = totals.mean_per_borrower
    return PackageHeaderResult(
        principal=totals.principal.to_decimal(),
        interest=totals.interest.to_decimal(),
        principal_and_interest=totals.principal_and_interest.to_decimal(),
        other=totals.other.to_decimal(),
        loans=totals.loans,
        borrowers=totals.borrowers,
        weighted_days_past_due=totals.weighted_days_past_due,
        weighted_age=totals.weighted_age,
        weighted_credit_limit=totals.weighted_credit_limit,
        max_per_borrower=totals.max_per_borrower.to_decimal(),
        mean_per_borrower=None if mean is None else mean.to_decimal(),
    )
