"""Whether two cases are one claim: by person and contract, not by what a new owner calls it."""

import pytest
from sqlalchemy import select

from marketplace.cases import service
from marketplace.cases.domain import identity
from marketplace.cases.models import Case

HEAD = "case_key,borrower,identity_number,principal,interest,days_past_due,originated_on,customer_type\n"


def number(serial):
    body = f"11010119900307{serial:03d}"
    return body + identity.check_character(body)


FIRST, SECOND = number(1), number(2)


@pytest.mark.parametrize(
    ("held", "offered", "same"),
    [
        (f"K1,张三,{FIRST},5,0,9,2020-01-05,个人", f"K1,张三,{FIRST},4,1,99,,个人", True),
        (f"K1,张三,{FIRST},5,0,9,2020-01-05,个人", f"R-77,张三,{FIRST},5,0,9,2020-01-05,个人", True),
        (f"K1,张三,{FIRST},5,0,9,2020-01-05,个人", f"R-77,张三,{FIRST},5,0,9,2020-01-06,个人", False),
        (f"K1,张三,{FIRST},5,0,9,,个人", f"R-77,张三,{FIRST},5,0,9,,个人", False),
        (f"K1,张三,{FIRST},5,0,9,2020-01-05,个人", f"K1,张三,{SECOND},5,0,9,2020-01-05,个人", False),
        (f"K1,张三,{FIRST},5,0,9,2020-01-05,个人", "K1,张 三,,5,0,9,2020-01-05,个人", True),
        ("K1,张三,,5,0,9,2020-01-05,个人", "R-77,张三,,5,0,9,2020-01-05,个人", False),
        ("K1,张三,,5,0,9,2020-01-05,个人", "K1,李四,,5,0,9,2020-01-05,个人", False),
    ],
)
def test_the_same_person_and_the_same_contract(deliver, people, session, held, offered, same):
    for who, row in ((people.seller, held), (people.other_seller, offered)):
        assert deliver(HEAD + row + "\n", who=who)["added"] == 1
    of = {
        who: select(Case.id).where(Case.organisation_id == who.organisation_id)
        for who in (people.seller, people.other_seller)
    }
    query = service.same_claims(among=of[people.other_seller], held=of[people.seller])
    assert len(session.scalars(query).all()) == same
