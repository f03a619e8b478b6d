"""Real files of public lenders, as found: they import, or every row says what is wrong with it."""

import csv
import io
from decimal import Decimal

import pytest
from sqlalchemy import text

LENDING_CLUB = {
    "name": "LendingClub 2007-2011",
    "columns": {
        "case_key": "loan_ref",
        "borrower_name": "loan_ref",
        "product": "purpose",
        "principal": "funded_amnt",
        "credit_limit": "loan_amnt",
        "originated_on": "issue_d",
        "default_on": "last_pymnt_d",
        "province": "addr_state",
    },
    "less": {"principal": ["total_rec_prncp"]},
    "constants": {"default_on": "2012-01-01", "written_off": "true", "grade": "loss"},
    "currency": "USD",
    "binary_noise": True,
}


def test_a_public_lenders_charged_off_loans_import_to_the_cent(api, people, deliver, session, shared_data):
    content = (shared_data / "lendingclub_2007_2011" / "charged_off_tape.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    mapping = api.as_(people.seller).ok("POST", "/tape-mappings", json=LENDING_CLUB)
    tape = deliver(content, mapping_id=mapping["id"], currency="USD", as_of_on="2017-11-30")
    assert (tape["state"], tape["rows"], tape["added"]) == ("imported", 4208, 4208 - tape["bad_rows"])
    stored = dict(session.execute(text("SELECT case_key, principal_minor FROM cases")).all())
    expected = {row["loan_ref"]: Decimal(row["funded_amnt"]) - Decimal(row["total_rec_prncp"]) for row in rows}
    assert {key: Decimal(minor) / 100 for key, minor in stored.items()} == {
        key: round(amount, 2) for key, amount in expected.items() if key in stored
    }
    assert tape["bad_rows"] == 0


@pytest.mark.parametrize("on_error", ["keep_good", "refuse_all"])
def test_a_tortured_file_is_explained_row_by_row(api, people, deliver, session, shared_data, on_error):
    content = (shared_data / "sba_loans" / "sba_national_raw.csv").read_bytes()
    client = api.as_(people.seller)
    rules = {
        "name": "SBA",
        "columns": {
            "case_key": "LoanNr_ChkDgt",
            "borrower_name": "Name",
            "principal": "ChgOffPrinGr",
            "originated_on": "DisbursementDate",
            "default_on": "ChgOffDate",
            "city": "City",
            "province": "State",
            "credit_limit": "GrAppv",
        },
        "constants": {"days_past_due": "365", "customer_type": "company"},
        "date_format": "DD-MON-YY",
        "encoding": "latin-1",
        "currency": "USD",
    }
    mapping = client.ok("POST", "/tape-mappings", json=rules)
    tape = deliver(content, mapping_id=mapping["id"], currency="USD", as_of_on="2016-01-01", on_error=on_error)
    assert tape["rows"] == 2573
    errors = list(csv.DictReader(io.StringIO(client.get(f"/tapes/{tape['id']}/errors.csv").data.decode())))
    assert len(errors) == tape["errors"]
    assert len({error["row"] for error in errors}) == tape["bad_rows"]
    assert tape["bad_rows"] == 62, "the 56 shifted rows and the 6 broken ones, and no other"
    if on_error == "refuse_all":
        assert (tape["state"], tape["added"]) == ("refused", 0)
        return
    assert (tape["state"], tape["added"]) == ("imported", 2573 - tape["bad_rows"])
    charged = session.execute(text("SELECT sum(principal_minor) FROM cases")).scalar_one()
    assert charged == 24_994_834_00
