"""The card payment of docs/algorithms/ledger.md, as printed: the product posts these entries, and no others."""

from tests.settlement.deals.test_ledger_document import CARD, minor, numbered, printed

DEPOSIT = 50_000_00


def posted(cards) -> list:
    entries, last = [], None
    for entry, source, account, amount in cards.sql(
        "SELECT e.id, e.source_kind, a.key, p.amount_minor FROM entries e JOIN postings p ON p.entry_id = e.id"
        " JOIN accounts a ON a.id = p.account_id ORDER BY e.id, p.line"
    ):
        if entry != last:
            entries.append((source, []))
        entries[-1][1].append((account, amount))
        last = entry
    return entries


def test_the_product_posts_what_is_printed(cards) -> None:
    mine = cards.registration(deposit=DEPOSIT)
    payment = cards.paid(mine)
    dispute = cards.stripe.dispute(payment["intent_id"])
    cards.deliver()
    cards.sweep()
    assert not cards.covered(mine)
    cards.stripe.end_dispute(dispute["id"], "won")
    cards.stripe.objects[payment["charge_id"]]["disputed"] = False
    cards.deliver()
    cards.sweep()
    assert cards.covered(mine)
    cards.release(mine)
    cards.run()
    cards.sweep()
    assert numbered(posted(cards)) == numbered(printed(CARD))
    assert sum(minor(row[4]) for row in CARD) == sum(minor(row[5]) for row in CARD)
    cards.books_are_square()
    assert cards.clearing() == []
