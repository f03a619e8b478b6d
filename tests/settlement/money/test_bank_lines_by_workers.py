"""Bank lines, four times each, shuffled, by eight workers: the books are as if each file had come once, in order."""

import contextlib
import io
import queue
import random
import threading
import time

from sqlalchemy import text

from auctions.models import Registration
from settlement import deposits, ledger
from tests.settlement.money.conftest import DEPOSIT
from tests.settlement.money.test_money_api import books_are_square

FILES, WORKERS, TIMES = 5, 8, 4


def by_workers(finance, files: list[bytes]) -> list[BaseException]:
    """Send the files, several at once; one that comes before the one that it follows is refused, and sent again later.

    Return what went wrong.
    """
    wanted: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for content in files:
        wanted.put(content)
    taken: list[int] = []
    failures: list[BaseException] = []

    def send(content: bytes) -> None:
        form = {"data": {"file": (io.BytesIO(content), "x.csv")}, "content_type": "multipart/form-data"}
        answer = finance.post("/bank-statements", **form)
        if answer.status_code == 201:
            taken.append(answer.status_code)
            return
        assert answer.get_json()["code"] == "statement_gap", answer.text
        wanted.put(content)
        time.sleep(0.05)

    def work() -> None:
        try:
            while len(taken) < len(files) and not failures:
                with contextlib.suppress(queue.Empty):
                    send(wanted.get(timeout=0.2))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion of the caller
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_four_of_each_shuffled_by_eight_workers_is_as_one_of_each_in_order(
    api, people, sessions, registration, statement
) -> None:
    mine = [registration() for _ in range(FILES)]
    files = []
    for one in mine:
        paper = statement()
        paper.line(DEPOSIT - 300, one.reference)
        paper.line(700, "no reference")
        paper.line(300, one.reference)
        files.append(paper.content)
    shuffled = files * TIMES
    random.Random(4).shuffle(shuffled)
    assert by_workers(api.as_(people.finance), shuffled) == []
    with sessions() as session:
        counts = session.execute(
            text("SELECT (SELECT count(*) FROM bank_statements), (SELECT count(*) FROM statement_lines),"
                 " (SELECT count(*) FROM matches), (SELECT count(*) FROM stored_files)")
        ).one()  # fmt: skip
        assert tuple(counts) == (FILES, 3 * FILES, 2 * FILES, FILES)
        assert ledger.balance(session, "bank", currency="CNY") == FILES * (DEPOSIT + 700)
        for one in mine:
            assert deposits.held(session, registration_id=one.id, currency="CNY") == DEPOSIT
            assert session.get_one(Registration, one.id).covered_at is not None
    books_are_square(sessions)
