"""From good rows to rows at rest: names, identity numbers and phones are sealed, and fingerprints made for matching.

What a seal belongs to is the seller, the case key, the role and the field: a sealed value moved to another row does not
open.
"""

import uuid
from collections.abc import Sequence
from typing import Final

import polars as pl

from marketplace.cases.domain.case import ObligorRole
from marketplace.cases.domain.masking import mask_name
from marketplace.crypto import Vault

PERSONAL: Final = ("name", "identity_number", "phone")
_KEY: Final = "\x1f"


def context(organisation_id: uuid.UUID, *, case_key: str, role: ObligorRole, field: str) -> str:
    """What a sealed value belongs to; needed again to open it."""
    return f"obligors/{organisation_id}/{case_key}/{role.value}/{field}"


def seal_rows(good: pl.DataFrame, *, vault: Vault, organisation_id: uuid.UUID) -> pl.DataFrame:
    """Replace personal columns by sealed ones (bytea in hex), masked names and fingerprints.

    The borrower of a case is told apart by identity number, else by the seller's customer number, else by the case.
    """
    sealed = good
    for role in ObligorRole:
        sealed = _seal_role(sealed, role, vault=vault, organisation_id=organisation_id)
    others = good.filter(pl.col("borrower_identity_number").is_null()).select("row", "case_key", "borrower_key").rows()
    prints = [
        vault.fingerprint(f"{organisation_id}/customer/{customer}" if customer else f"{organisation_id}/case/{case}")
        for _, case, customer in others
    ]
    by_row = pl.DataFrame(
        {"row": [row for row, _, _ in others], "other": _hex(prints)}, schema={"row": pl.UInt32, "other": pl.String}
    )
    return (
        sealed.join(by_row, on="row", how="left", maintain_order="left")
        .with_columns(pl.coalesce("borrower_fingerprint", "other").alias("borrower_key_fingerprint"))
        .drop("borrower_key", "other")
    )


def _seal_role(frame: pl.DataFrame, role: ObligorRole, *, vault: Vault, organisation_id: uuid.UUID) -> pl.DataFrame:
    prefix = f"{role.value}_"
    there = frame.filter(pl.col(f"{prefix}name").is_not_null())
    keys = there["case_key"].to_list()
    made: dict[str, pl.Series] = {"row": there["row"]}
    for field in PERSONAL:
        before, _, after = context(organisation_id, case_key=_KEY, role=role, field=field).partition(_KEY)
        values = there[f"{prefix}{field}"].to_list()
        pairs = [(text, f"{before}{key}{after}") for text, key in zip(values, keys, strict=True) if text is not None]
        made[f"{prefix}{field}_sealed"] = _spread(values, vault.seal_all(pairs))
    numbers = there[f"{prefix}identity_number"].to_list()
    made[f"{prefix}fingerprint"] = _spread(numbers, [vault.fingerprint(text) for text in numbers if text is not None])
    parts = [pl.col(f"{prefix}{field}").fill_null("") for field in PERSONAL]
    contents = there.select(pl.concat_str(parts, separator=_KEY)).to_series()
    prints = _hex([vault.fingerprint(text) for text in contents])
    made[f"{prefix}content_fingerprint"] = pl.Series(prints, dtype=pl.String)
    names = _hex([vault.name_fingerprint(text) for text in there[f"{prefix}name"]])
    made[f"{prefix}name_fingerprint"] = pl.Series(names, dtype=pl.String)
    made[f"{prefix}masked_name"] = pl.Series([mask_name(text) for text in there[f"{prefix}name"]], dtype=pl.String)
    rest = frame.drop(f"{prefix}{field}" for field in PERSONAL)
    return rest.join(pl.DataFrame(made), on="row", how="left", maintain_order="left")


def _hex(values: Sequence[bytes]) -> list[str]:
    return [f"\\x{value.hex()}" for value in values]


def _spread(values: Sequence[str | None], made: Sequence[bytes]) -> pl.Series:
    """Put results of the non-null values back where these stood."""
    results = iter(_hex(made))
    return pl.Series([None if value is None else next(results) for value in values], dtype=pl.String)
