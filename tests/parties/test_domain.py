"""The rules of the parties as functions of values."""

import string
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import lei
from stdnum.cn import uscc

from marketplace.actor import ROLES, Actor, OrganisationKind, Role
from marketplace.db import new_id
from marketplace.parties import domain
from marketplace.parties.domain import FITTING_LICENCES, LicenceKind

DIGITS = "0123456789"
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@st.composite
def usccs(draw):
    region = draw(st.sampled_from(["110000", "330100", "440300", "310000"]))
    body = "91" + region + draw(st.text(USCC_ALPHABET, min_size=9, max_size=9))
    return body + uscc.calc_check_digit(body)


@st.composite
def leis(draw):
    body = draw(st.text(string.ascii_uppercase + DIGITS, min_size=18, max_size=18))
    check = 98 - int("".join(str(int(char, 36)) for char in body) + "00") % 97
    return f"{body}{check:02d}"


def register(**values):
    return domain.register(
        **({"country": "CN", "uscc": None, "lei": None, "province": None, "numbered": True} | values)
    )


@given(usccs())
def test_a_right_uscc_is_taken_in_one_spelling(code):
    assert register(uscc=code).uscc == code
    assert register(uscc=f" {code.lower()[:8]}-{code.lower()[8:]} ").uscc == code


@given(usccs(), st.integers(0, 17), st.sampled_from(USCC_ALPHABET))
def test_one_wrong_character_is_noticed(code, place, char):
    wrong = code[:place] + char + code[place + 1 :]
    if wrong == code:
        return
    with pytest.raises(domain.InvalidUscc):
        register(uscc=wrong)


def test_chinese_organisations_give_their_number_and_others_need_not():
    with pytest.raises(domain.InvalidUscc):
        register()
    assert register(numbered=False).uscc is None
    assert register(country="HK").uscc is None


@given(leis())
def test_lei_is_optional_and_checked(code):
    assert lei.is_valid(code)
    assert register(country="SG", lei=code).lei == code
    digit = code[-1]
    with pytest.raises(domain.InvalidLei):
        register(country="SG", lei=code[:-1] + ("1" if digit == "0" else "0"))


@pytest.mark.parametrize("country", ["", "C", "CHN", "cn", "C1", "中国"])
def test_country_is_two_capitals(country):
    with pytest.raises(domain.InvalidCountry):
        register(country=country)


@pytest.mark.parametrize(
    ("country", "province"), [("CN", "10"), ("CN", "99"), ("CN", "浙江"), ("HK", "33"), ("CN", "")]
)
def test_provinces_are_those_of_china(country, province):
    with pytest.raises(domain.InvalidProvince):
        register(country=country, province=province, numbered=False)


def test_there_are_34_provinces():
    assert len(domain.PROVINCES) == 34
    assert {"11", "33", "54", "65", "71", "81", "82"} <= domain.PROVINCES


def licence(kind, organisation_kind, **values):
    defaults = {"province": "33", "valid_from_on": date(2026, 1, 1), "valid_until_on": None}
    domain.check_licence(kind=kind, organisation_kind=organisation_kind, **(defaults | values))


@pytest.mark.parametrize("organisation_kind", OrganisationKind)
@pytest.mark.parametrize("kind", LicenceKind)
def test_a_licence_fits_only_its_kinds_of_organisation(kind, organisation_kind):
    if kind in FITTING_LICENCES[organisation_kind]:
        licence(kind, organisation_kind)
        return
    with pytest.raises(domain.LicenceDoesNotFit):
        licence(kind, organisation_kind)


def test_every_licence_fits_somebody_and_every_tenant_has_one():
    assert set().union(*FITTING_LICENCES.values()) == set(LicenceKind)
    assert {kind for kind, fitting in FITTING_LICENCES.items() if not fitting} == {OrganisationKind.OPERATOR}


def test_a_local_asset_manager_names_its_province():
    with pytest.raises(domain.ProvinceMissing):
        licence(LicenceKind.LOCAL_AMC, OrganisationKind.BUYER, province=None)
    licence(LicenceKind.NATIONAL_AMC, OrganisationKind.BUYER, province=None)


@given(DAYS, DAYS)
def test_a_licence_ends_after_it_begins(begin, end):
    if end > begin:
        licence(LicenceKind.BANK, OrganisationKind.SELLER, valid_from_on=begin, valid_until_on=end)
        return
    with pytest.raises(domain.InvalidLicenceDays):
        licence(LicenceKind.BANK, OrganisationKind.SELLER, valid_from_on=begin, valid_until_on=end)


@given(DAYS, DAYS, st.integers(1, 4000))
def test_days_are_half_open(day, begin, length):
    end = begin + timedelta(days=length)
    days = {begin + timedelta(days=n) for n in range(length)}
    assert domain.holds_on(day, valid_from_on=begin, valid_until_on=end) == (day in days)
    assert domain.holds_on(begin, valid_from_on=begin, valid_until_on=end)
    assert not domain.holds_on(end, valid_from_on=begin, valid_until_on=end)
    assert domain.holds_on(day, valid_from_on=begin, valid_until_on=None) == (day >= begin)


@given(st.sampled_from(OrganisationKind), st.sets(st.sampled_from(Role)))
def test_roles_are_of_the_kind_and_not_none(kind, roles):
    if roles and roles <= ROLES[kind]:
        assert domain.check_roles(roles, organisation_kind=kind) == roles
        return
    with pytest.raises(domain.RolesDoNotFit):
        domain.check_roles(roles, organisation_kind=kind)


@pytest.mark.parametrize("kind", OrganisationKind)
@pytest.mark.parametrize("role", Role)
def test_who_manages(kind, role):
    if role not in ROLES[kind]:
        return
    own, other = new_id(), new_id()
    actor = Actor(organisation_id=own, organisation_kind=kind, roles=frozenset({role}), name="x", user_id=new_id())
    everywhere = role is Role.OPERATOR_ADMIN
    at_home = role in {Role.OPERATOR_ADMIN, Role.SELLER_MANAGER, Role.BUYER_BIDDER, Role.VALUER_APPRAISER}
    assert domain.manages(actor, organisation_id=other) == everywhere
    assert domain.manages(actor, organisation_id=own) == at_home
