import csv
import io
import uuid
import zipfile

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook
from sqlalchemy import text

from demo import tape as demo_tape
from marketplace.cases import importing

MINIMAL = "case_key,borrower,principal,interest,days_past_due,identity_number,phone\n"


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def _stored(session, table):
    return session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_the_demo_tape_becomes_cases_obligors_and_collateral(api, people, deliver, session):
    tape = deliver(demo_tape.make_tape(200, bad_rows=True))
    assert (tape["state"], tape["rows"], tape["added"], tape["bad_rows"], tape["errors"]) == (
        "imported",
        200,
        194,
        6,
        6,
    )
    client = api.as_(people.seller)
    job = client.ok("GET", f"/jobs/{tape['job_id']}")
    assert (job["outcome"], job["done"], job["total"]) == ("done", 200, 200)
    errors = _rows(client.get(f"/tapes/{tape['id']}/errors.csv").data)
    assert [error["code"] for error in errors] == [
        "negative_amount",
        "not_an_amount",
        "not_an_identity_number",
        "not_a_choice",
        "wrong_currency",
        "case_repeated",
    ]
    assert errors[0] == {
        "row": "30",
        "column": "未偿本金",
        "found": "'-1500.00",
        "allowed": "zero or more",
        "code": "negative_amount",
    }
    book = client.get(f"/tapes/{tape['id']}/errors.xlsx").data
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
    assert [row[4] for row in sheet[1:]] == [error["code"] for error in errors]
    source = {row["合同编号"]: row for row in reversed(_rows(demo_tape.make_tape(200, bad_rows=True)))}
    assert _stored(session, "cases") == 194
    for key, principal in session.execute(text("SELECT case_key, principal_minor FROM cases")):
        assert source[key]["未偿本金"] == f"{principal // 100}.{principal % 100:02d}"


def test_every_identity_is_sealed_at_rest(deliver, session):
    deliver(demo_tape.make_tape(100))
    raw = b"".join(
        bytes(cell) if isinstance(cell, (bytes, memoryview)) else str(cell).encode()
        for table in ("obligors", "cases", "collaterals", "tape_errors", "audit_records", "jobs")
        for row in session.execute(text(f"SELECT * FROM {table}"))
        for cell in row
    )
    for row in _rows(demo_tape.make_tape(100)):
        for private in ("证件号码", "手机号", "借款人", "保证人证件号码"):
            assert not row[private] or row[private].encode() not in raw
    shared = session.execute(
        text("SELECT count(*) - count(DISTINCT fingerprint) FROM obligors WHERE role = 'borrower'")
    ).scalar_one()
    numbers = [row["证件号码"] for row in _rows(demo_tape.make_tape(100))]
    assert shared == len(numbers) - len(set(numbers)), "the same person matches by fingerprint"


def test_the_same_file_twice_changes_nothing(api, people, deliver, session):
    content = demo_tape.make_tape(50)
    first = deliver(content)
    before = session.execute(text("SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM cases c")).scalar_one()
    second = deliver(content)
    session.rollback()
    assert second == first
    assert session.execute(text("SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM cases c")).scalar_one() == before
    assert (_stored(session, "tapes"), _stored(session, "jobs"), _stored(session, "obligors")) == (
        1,
        1,
        50 + _guarantors(content),
    )
    conflict = deliver(content, status=409, as_of_on="2026-02-01")
    assert conflict["code"] == "tape_delivered_otherwise"


def _guarantors(content):
    return sum(1 for row in _rows(content) if row["保证人"])


def test_the_same_rows_in_another_file_change_nothing(deliver):
    content = demo_tape.make_tape(50)
    deliver(content)
    again = deliver(content.replace(b"\n", b"\r\n"))
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 50)


def test_a_case_delivered_again_is_updated_while_open(api, people, deliver):
    head = MINIMAL
    deliver(head + "A,张伟,100.00,1.00,400,,13800000000\nB,李娜,5,0,10,,\n")
    again = deliver(
        head + "A,张伟,90.00,1.00,431,,13800000001\nB,李娜,5,0,10,,\nC,王芳,7,0,10,,\n", as_of_on="2026-02-28"
    )
    assert (again["added"], again["updated"], again["unchanged"]) == (1, 2, 0), "a later date alone is a change of B"
    cases = {case["case_key"]: case for case in api.as_(people.seller).ok("GET", "/cases")["items"]}
    assert cases["A"]["principal"] == {"amount": "90.00", "currency": "CNY"}
    assert (cases["A"]["days_past_due"], cases["A"]["as_of_on"]) == (431, "2026-02-28")
    older = deliver(head + "A,张伟,100.00,1.00,400,,\n")
    assert (older["state"], older["problem"]["code"]) == ("refused", "rows_refused")
    errors = _rows(api.as_(people.seller).get(f"/tapes/{older['id']}/errors.csv").data)
    assert [(error["row"], error["code"]) for error in errors] == [("2", "older_than_known")]


def test_a_case_in_a_package_is_an_error_row(api, people, deliver):
    head = MINIMAL
    deliver(head + "A,张伟,100.00,1.00,400,,\n")
    client = api.as_(people.seller)
    package = client.ok("POST", "/packages", json={"name": "一"})
    client.ok("POST", f"/packages/{package['id']}/freeze", json={"cut_off_on": "2026-01-31"})
    again = deliver(head + "A,张伟,1.00,1.00,400,,\nB,李娜,5,0,10,,\n")
    assert (again["state"], again["added"], again["updated"], again["bad_rows"]) == ("imported", 1, 0, 1)
    errors = _rows(client.get(f"/tapes/{again['id']}/errors.csv").data)
    assert [(error["found"], error["code"]) for error in errors] == [("A", "case_bundled")]


def test_one_bad_row_refuses_the_file_if_asked_so(api, people, deliver, session):
    tape = deliver(MINIMAL + "A,张伟,1,1,1,,\nB,李娜,x,1,1,,\n", on_error="refuse_all")
    assert (tape["state"], tape["added"], tape["bad_rows"], tape["rows"]) == ("refused", 0, 1, 2)
    assert tape["problem"]["code"] == "rows_refused"
    assert _stored(session, "cases") == 0
    kept = deliver(MINIMAL + "A,张伟,1,1,1,,\nB,李娜,x,1,1,,\n")
    assert (kept["state"], kept["added"]) == ("imported", 1)
    assert kept["id"] != tape["id"], "a refused file may be delivered again"


def test_two_sellers_may_use_the_same_keys(deliver, people, api):
    content = MINIMAL + "A,张伟,1,1,1,,\n"
    mine, theirs = deliver(content), deliver(content, who=people.other_seller)
    assert mine["added"] == theirs["added"] == 1
    assert api.as_(people.other_seller).get(f"/tapes/{mine['id']}").status_code == 404
    case = api.as_(people.seller).ok("GET", "/cases")["items"][0]
    for path in ("", "/withdraw", "/reveal-identities"):
        method = "POST" if path else "GET"
        body = {"json": {"reason": "x"}} if path else {}
        answer = api.as_(people.other_seller).request(method, f"/cases/{case['id']}{path}", **body)
        assert answer.status_code == 404
    assert len(api.as_(people.auditor).ok("GET", "/cases")["items"]) == 2


def test_identities_are_masked_until_a_manager_reveals_them_and_that_is_recorded(api, people, deliver, session):
    number = demo_tape.resident_number("44", 1, demo_tape.AS_OF_ON.replace(year=1990), 7)
    deliver(MINIMAL + f"A,欧阳伟,1,1,1,{number},120 0000 0001\n")
    client = api.as_(people.seller)
    case = client.ok("GET", "/cases")["items"][0]
    shown = client.ok("GET", f"/cases/{case['id']}")
    obligor = shown["obligors"][0]
    assert (obligor["masked_name"], obligor["birth_year"], obligor["sex"], obligor["province"]) == (
        "欧*",
        1990,
        "male",
        "广东",
    )
    assert number not in str(shown)
    path = f"/cases/{case['id']}/reveal-identities"
    for who, status in ((people.seller_agent, 403), (people.admin, 403), (people.auditor, 403), (people.buyer, 403)):
        assert api.as_(who).post(path, json={"reason": "look"}).status_code == status
    revealed = client.ok("POST", path, json={"reason": "核对身份"})["obligors"]
    assert revealed == [
        {
            "role": "borrower",
            "name": "欧阳伟",
            "identity_kind": "resident_id",
            "identity_number": number,
            "phone": "12000000001",
        }
    ]
    record = session.execute(
        text("SELECT actor_name, reason FROM audit_records WHERE verb = 'reveal_identities'")
    ).one()
    assert tuple(record) == (people.seller.actor.name, "核对身份")


def test_a_saved_mapping_reads_foreign_files(api, people, deliver):
    client = api.as_(people.seller)
    rules = {
        "name": "us",
        "columns": {"case_key": "Loan", "borrower_name": "Loan", "principal": "Paid", "default_on": "Last"},
        "less": {"principal": ["Repaid"]},
        "date_format": "DD/MM/YYYY",
        "decimal_separator": ",",
        "thousands_separator": ".",
        "constants": {"product": "consumer"},
        "currency": "USD",
    }
    mapping = client.ok("POST", "/tape-mappings", 201, json=rules)
    assert client.ok("GET", "/tape-mappings")["items"][0]["id"] == mapping["id"]
    tape = deliver("Loan;Paid;Repaid;Last\nL1;1.234,50;234,50;31/12/2025\n", mapping_id=mapping["id"], currency="USD")
    assert (tape["state"], tape["added"]) == ("imported", 1)
    case = client.ok("GET", "/cases")["items"][0]
    assert case["principal"] == {"amount": "1000.00", "currency": "USD"}
    assert (case["days_past_due"], case["product"]) == (31, "consumer")
    taken = client.post("/tape-mappings", json=rules)
    assert (taken.status_code, taken.get_json()["code"]) == (409, "mapping_name_taken")
    wrong = deliver("Loan\n1\n", mapping_id=mapping["id"], currency="CNY", status=422)
    assert wrong["code"] == "currency_mismatch"
    foreign = deliver("Loan\n1\n", who=people.other_seller, mapping_id=mapping["id"], currency="USD", status=404)
    assert foreign["code"] == "not_found"


def _zip_with(name):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "a,b\n1,2\n")
    return content.getvalue()


BAD_FILES = {
    "empty": (b"", 422, "tape_unreadable"),
    "zip renamed to xlsx": (_zip_with("tape.csv"), 422, "tape_unreadable"),
    "pdf": (b"%PDF-1.4\n", 422, "tape_unreadable"),
    "duplicate headers": (b"case_key,borrower,borrower,principal,dpd\n1,2,3,4,5\n", 422, "header_mismatch"),
    "no such columns": (b"a,b\n1,2\n", 422, "header_mismatch"),
    "10,000 columns": (",".join(map(str, range(10_000))).encode() + b"\n1\n", 422, "tape_too_large"),
    "latin-1": ("case_key,borrower\n\xff\xfe\xfd".encode("latin-1"), 422, "tape_unreadable"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_at_once_and_nothing_is_stored(deliver, session, name):
    content, status, code = BAD_FILES[name]
    assert deliver(content, status=status, name="tape.xlsx")["code"] == code
    for table in ("tapes", "jobs", "stored_files"):
        assert _stored(session, table) == 0


def test_what_only_the_import_can_see_ends_as_a_refused_tape(deliver):
    header_only = deliver(MINIMAL)
    assert (header_only["state"], header_only["problem"]["code"]) == ("refused", "tape_unreadable")
    open_quote = deliver(MINIMAL + 'A,"张' + "x,\n" * 60_000)
    assert (open_quote["state"], open_quote["problem"]["code"]) == ("refused", "tape_unreadable")
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        book.add_worksheet().write_row(0, 0, ["a", "b"])
    no_fit = deliver(content.getvalue(), name="tape.xlsx")
    assert no_fit["state"] == "refused"


def test_gbk_and_xlsx_give_the_same_cases(api, people, deliver):
    content = demo_tape.make_tape(30)
    tape = deliver(content.decode().encode("gb18030"))
    assert (tape["state"], tape["added"]) == ("imported", 30)
    book = io.BytesIO()
    with xlsxwriter.Workbook(book, {"strings_to_numbers": False}) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate(csv.reader(io.StringIO(content.decode()))):
            for column, cell in enumerate(row):
                money = number and column in (5, 6, 7, 15) and cell
                sheet.write(number, column, float(cell) if money else cell)
    again = deliver(book.getvalue(), name="tape.xlsx")
    assert (again["state"], again["added"], again["updated"], again["unchanged"]) == ("imported", 0, 0, 30)


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"currency": "XXX"}, "/currency"),
        ({"as_of_on": "31.01.2026"}, "/as_of_on"),
        ({"on_error": "ignore"}, "/on_error"),
        ({"mapping_id": "x"}, "/mapping_id"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_wrong_terms_are_named(deliver, terms, pointer):
    answer = deliver(MINIMAL + "A,张,1,1,1,,\n", status=422, **terms)
    assert [error["pointer"] for error in answer["errors"]] == [pointer]


def test_a_tape_of_the_future_is_refused(deliver):
    assert deliver(MINIMAL + "A,张,1,1,1,,\n", status=422, as_of_on="2026-03-03")["code"] == "tape_of_the_future"


def test_exports_defuse_formulas_and_know_filters(api, people, deliver):
    deliver(MINIMAL + "-1A,张伟,1,1,1,,\nB2,李娜,2.50,1,400,,\n")
    client = api.as_(people.seller)
    rows = _rows(client.get("/cases.csv").data)
    assert [row["case_key"] for row in rows] == ["'-1A", "B2"]
    late = _rows(client.get("/cases.csv?days_past_due_min=360&state=open").data)
    assert [(row["case_key"], row["principal"]) for row in late] == [("B2", "2.50")]
    book = CalamineWorkbook.from_filelike(io.BytesIO(client.get("/cases.xlsx").data))
    assert book.get_sheet_by_index(0).to_python()[1][0] == "'-1A"
    listed = client.ok("GET", "/cases?limit=1&security=unsecured&security=mortgaged&written_off=false")
    assert len(listed["items"]) == 1
    following = client.ok("GET", f"/cases?limit=1&cursor={listed['next']}")
    assert following["next"] is None
    assert client.get("/cases?days_past_due_min=x").status_code == 422
    assert client.get("/cases?colour=red").status_code == 422


def test_a_withdrawn_case_is_out(api, people, deliver):
    deliver(MINIMAL + "A,张伟,1,1,1,,\n")
    client = api.as_(people.seller)
    case = client.ok("GET", "/cases")["items"][0]
    assert client.ok("POST", f"/cases/{case['id']}/withdraw", json={"reason": "已结清"})["state"] == "withdrawn"
    again = client.post(f"/cases/{case['id']}/withdraw", json={"reason": "x"})
    assert (again.status_code, again.get_json()["code"]) == (409, "illegal_move")
    assert client.get(f"/cases/{uuid.uuid4()}").status_code == 404


def test_a_worker_that_dies_in_the_middle_leaves_nothing_and_another_finishes(
    api, people, deliver, running, work, session, monkeypatch
):
    apply = importing.staging.apply

    def dying(*arguments, **named):
        apply(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(importing.staging, "apply", dying)
    with pytest.raises(KeyboardInterrupt):
        deliver(demo_tape.make_tape(20))
    assert (_stored(session, "cases"), _stored(session, "obligors")) == (0, 0)
    session.rollback()
    monkeypatch.setattr(importing.staging, "apply", apply)
    work()
    assert _stored(session, "cases") == 20
    assert api.as_(people.seller).ok("GET", "/tapes")["items"][0]["added"] == 20
