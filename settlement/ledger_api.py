"""Routes of the books: accounts, entries, statements of account, closed days, checks, reversals."""

from typing import Any

from marketplace import http
from marketplace.db import Page
from marketplace.fields import page_of
from marketplace.policies import reads
from settlement import journal, ledger
from settlement import ledger_schemas as schemas

blueprint = http.Blueprint("ledger", description="What do the books say, and can they be believed?")


@blueprint.get("/ledger-accounts", policy=reads())
@blueprint.arguments(schemas.AccountArgs, location="query")
@blueprint.response(200, schemas.AccountsOut)
def list_accounts(arguments: dict[str, Any]) -> dict[str, Any]:
    """Accounts of the books with their balances, as of now or of the end of a value or posting date."""
    items = ledger.balances(http.session(), **arguments)
    full = len({item.key for item in items}) == arguments["limit"]
    return {"items": items, "next": items[-1].key if full else None}


@blueprint.get("/ledger-entries", policy=reads())
@blueprint.arguments(schemas.EntryArgs, location="query")
@blueprint.response(200, page_of(schemas.EntryOut))
def list_entries(arguments: dict[str, Any]) -> Page[journal.EntryView]:
    """Entries of the books with their lines, newest first."""
    return journal.list_entries(http.session(), **arguments)
