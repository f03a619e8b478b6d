"""Who may bid is computed: every condition alone, conflicts by number and by name, what a refusal says and hides."""

import itertools

import pytest
from sqlalchemy import text

from auctions import eligibility
from auctions.domain.eligibility import Check, ConflictRule, Facts, checks, first_failed
from auctions.domain.lifecycles import RegistrationState
from marketplace import runtime
from marketplace.cases import service as cases
from marketplace.cases.domain.case import ObligorRole
from marketplace.cases.models import Case, Obligor, Tape
from marketplace.cases.sealing import context
from marketplace.files import StoredFile
from marketplace.packages.models import PackageCase
from marketplace.parties.domain import LicenceKind

GOOD = {
    "state": RegistrationState.APPROVED, "covered": True, "licences": frozenset({LicenceKind.AIC}), "agreement": True,
    "no_resale_required": True, "no_resale": True, "out_of_province": False, "conflict": None, "defaulted": False,
}  # fmt: skip
BAD = {
    Check.REGISTRATION_APPROVED: {"state": RegistrationState.APPLIED},
    Check.DEPOSIT_HELD: {"covered": False},
    Check.LICENCE_IN_FORCE: {"licences": frozenset()},
    Check.AGREEMENT_IN_FORCE: {"agreement": False},
    Check.NO_RESALE_UNDERTAKEN: {"no_resale": False},
    Check.WITHIN_PROVINCE: {"licences": frozenset({LicenceKind.LOCAL_AMC}), "out_of_province": True},
    Check.NO_CONFLICT: {"conflict": ConflictRule.RELATED_TO_DEBTOR},
    Check.NOT_BARRED: {"defaulted": True},
}


def test_each_condition_alone_refuses_and_the_first_is_named():
    assert first_failed(Facts(**GOOD)) is None
    for check, wrong in BAD.items():
        facts = Facts(**GOOD | wrong)
        assert [one for one, holds in checks(facts).items() if not holds] == [check]
        assert eligibility.failure(check, facts).code
    for earlier, later in itertools.combinations(Check, 2):
        if {earlier, later} != {Check.LICENCE_IN_FORCE, Check.WITHIN_PROVINCE}:
            assert first_failed(Facts(**GOOD | BAD[later] | BAD[earlier])) is earlier
    both = frozenset({LicenceKind.LOCAL_AMC, LicenceKind.NATIONAL_AMC})
    assert first_failed(Facts(**GOOD | {"licences": both, "out_of_province": True})) is None


def apply(stage, listing, who, **body):
    return stage.api.as_(who).post(f"/listings/{listing['id']}/registrations", json=body or None)


def refusal(response):
    return response.status_code, response.get_json()["code"]


def owes(stage, *, number="110101199003070011", name="张三", province="33", company=False):
    """Somebody owes in the newest package of the stage."""
    vault, at = runtime.current().vault, stage.clock.now()
    seller = stage.people.seller.organisation_id
    place = context(seller, case_key=name, role=ObligorRole.BORROWER, field="name")
    with stage.sessions.begin() as session:
        file = StoredFile(organisation_id=seller, name="t", media_type="text/csv", size=0, sha256="0", created_at=at)
        session.add(file)
        session.flush()
        tape = Tape(organisation_id=seller, file_id=file.id, file_name="t", sha256=name, currency="CNY",
                    as_of_on=at.date(), on_error="refuse_all", created_at=at)  # fmt: skip
        session.add(tape)
        session.flush()
        figures = {
            "case_key": name, "currency": "CNY", "principal_minor": 1, "interest_minor": 0, "other_minor": 0,
            "days_past_due": 1, "as_of_on": at.date(), "litigation": "not_sued", "written_off": False,
            "security": "unsecured", "province": province, "borrower_fingerprint": b"0" * 32,
            "customer_type": "company" if company else "person",
        }  # fmt: skip
        case = Case(organisation_id=seller, tape_id=tape.id, row_number=1, created_at=at, updated_at=at, **figures)
        session.add(case)
        session.flush()
        session.add(Obligor(
            case_id=case.id, role="borrower", masked_name="*", identity_kind="other",
            name_sealed=vault.seal(name, context=place),
            identity_sealed=b"x", fingerprint=vault.fingerprint(number), content_fingerprint=b"x",
            name_fingerprint=vault.name_fingerprint(name),
        ))  # fmt: skip
        session.add(PackageCase(
            package_id=stage.packages[-1], case_id=case.id, borrower_masked_name="*", guaranteed=False, **figures
        ))  # fmt: skip


def behind(stage, who, **more):
    body = {"kind": "officer", "name": "李四", "identity_number": "110101199003070011"} | more
    path = f"/organisations/{who.organisation_id}/affiliates"
    return stage.api.as_(who).ok("POST", path, 201, json=body)


def test_whose_officer_owes_is_refused_and_nobody_is_named(stage):
    people, listing = stage.people, stage.publish()
    owes(stage)
    row = behind(stage, people.buyer)
    assert "110101199003070011" not in str(row)
    response = apply(stage, listing, people.buyer)
    assert refusal(response) == (403, "conflict_of_interest")
    assert response.get_json()["rule"] == "related_to_debtor"
    assert "张三" not in response.text
    assert apply(stage, listing, people.other_buyer).status_code == 201
    with stage.sessions() as session:
        stored = session.execute(text("SELECT identity_sealed::text FROM affiliates")).scalar_one()
    assert "110101199003070011" not in stored
    assert stage.api.as_(people.buyer).post(f"/affiliates/{row['id']}/remove", json={"reason": "x"}).status_code == 403


def test_a_namesake_goes_to_compliance(stage):
    people, listing = stage.people, stage.publish()
    owes(stage)
    behind(stage, people.buyer, name="张 三", identity_number="110101197001010017")
    row = apply(stage, listing, people.buyer).get_json()
    compliance = stage.api.as_(people.compliance)
    assert refusal(compliance.post(f"/registrations/{row['id']}/approve")) == (409, "conflict_flagged")
    (found,) = compliance.ok("GET", "/conflicts?state=flagged")["items"]
    assert (found["rule"], found["certain"]) == ("related_to_debtor", False)
    assert stage.api.as_(people.buyer).get("/conflicts").status_code == 403
    cleared = compliance.ok("POST", f"/conflicts/{found['id']}/clear", json={"reason": "other birth year"})
    assert cleared["state"] == "cleared"
    assert compliance.ok("POST", f"/registrations/{row['id']}/approve")["state"] == "approved"


def test_namesakes_of_tapes_from_before_names_were_matched(stage, work):
    """An obligor without a fingerprint of its name is met by nobody; the clockwork fills it in and looks again."""
    people, listing = stage.people, stage.publish()
    owes(stage)
    behind(stage, people.buyer, name="张 三", identity_number="110101197001010017")
    with stage.sessions.begin() as session:
        session.execute(text("UPDATE obligors SET name_fingerprint = NULL"))
    row = apply(stage, listing, people.buyer).get_json()
    compliance = stage.api.as_(people.compliance)
    assert compliance.ok("GET", "/conflicts")["items"] == []
    counts = []
    for _ in range(2):
        with stage.sessions.begin() as session:
            vault = runtime.current().vault
            counts.append(cases.fingerprint_names(session, vault=vault, at=stage.clock.now()))
    work()
    assert counts == [1, 0]
    assert refusal(compliance.post(f"/registrations/{row['id']}/approve")) == (409, "conflict_flagged")


def test_an_owner_in_common_that_is_named_later_bars_from_the_next_bid(stage, work):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 201
    behind(stage, people.seller, kind="owner")
    behind(stage, people.other_buyer, kind="owner")
    work()
    barred = stage.bid(listing, people.other_buyer, "120000.00")
    assert (refusal(barred), barred.get_json()["rule"]) == ((403, "conflict_of_interest"), "related_to_seller")
    assert stage.bid(listing, people.buyer, "100000.00").status_code == 409
    row = stage.api.as_(people.other_buyer).ok("GET", "/registrations")["items"][0]
    seen = stage.api.as_(people.other_buyer).ok("GET", f"/registrations/{row['id']}/eligibility")
    assert not seen["eligible"]
    assert [one["code"] for one in seen["checks"] if not one["holds"]] == ["conflict_of_interest"]
    assert len(seen["checks"]) == len(Check)
    assert stage.api.as_(people.buyer).get(f"/registrations/{row['id']}/eligibility").status_code == 404


def test_licence_and_agreement_count_at_the_bid(stage):
    people = stage.people
    listing = stage.live(people.buyer, people.other_buyer)
    stage.agree(False)
    assert refusal(stage.bid(listing, people.buyer, "100000.00")) == (403, "agreement_not_in_force")
    stage.agree(True)
    with stage.sessions.begin() as session:
        session.execute(
            text("UPDATE licences SET valid_until_on = '2026-03-02' WHERE organisation_id = :id"),
            {"id": people.buyer.organisation_id},
        )
    assert refusal(stage.bid(listing, people.buyer, "100000.00")) == (403, "licence_not_in_force")
    assert stage.bid(listing, people.other_buyer, "100000.00").status_code == 201


@pytest.mark.parametrize(("province", "company", "status"), [("44", True, 403), ("33", True, 201), ("44", False, 201)])
def test_a_local_amc_buys_companies_of_its_province(stage, province, company, status):
    listing = stage.publish()
    owes(stage, province=province, company=company)
    assert apply(stage, listing, stage.people.other_buyer).status_code == status
    assert apply(stage, listing, stage.people.buyer).status_code == 201


def test_the_undertaking_not_to_resell(stage, monkeypatch):
    from datetime import date

    from auctions.domain import presets

    listing = stage.publish()
    monkeypatch.setattr(eligibility, "preset_of", lambda *_: presets.in_force("yindeng_cn", date(2026, 3, 2)))
    assert refusal(apply(stage, listing, stage.people.buyer)) == (403, "no_resale_not_undertaken")
    row = apply(stage, listing, stage.people.buyer, undertakes_no_resale=True).get_json()
    assert row["no_resale_at"]
