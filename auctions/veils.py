"""What the sealed phase of a hybrid auction leaves in the log, encrypted at rest by the vault.

Its ten minutes have no room for a ceremony of people (ADR 18), so the installation itself can read the bids; a dump, a
replica or a backup without the vault's key cannot. Receipt and signature are veiled together: with the signature in
the clear, whoever has a dump could try amounts until the entry's hash fits.
"""

import base64
from typing import Any, Final

from auctions.domain.proofs import SIGNATURE_BYTES
from marketplace import runtime

PREFIX: Final = "veiled:"
"""Begins every veiled text; no receipt and no standing in JSON begins so."""

NO_SIGNATURE: Final = bytes(SIGNATURE_BYTES)
"""Stands in the signature's column of a veiled entry."""

_CONTEXT: Final = "auctions/veiled"


def lay(text: str) -> str:
    """Return a text under the vault's key."""
    sealed = runtime.current().vault.seal(text, context=_CONTEXT)
    return PREFIX + base64.b64encode(sealed).decode()


def lift(text: str) -> str:
    """Return a text as it was before `lay`; one that was not veiled as it is."""
    if not text.startswith(PREFIX):
        return text
    return runtime.current().vault.open(base64.b64decode(text.removeprefix(PREFIX)), context=_CONTEXT)


def lay_receipt(receipt: str, signature: bytes) -> str:
    """Return a signed receipt as the column of a veiled entry holds it."""
    return lay(signature.hex() + receipt)


def lift_receipt(receipt: str, signature: bytes) -> tuple[str, bytes]:
    """Return receipt and signature of an entry, veiled or not."""
    if not receipt.startswith(PREFIX):
        return receipt, signature
    plain = lift(receipt)
    return plain[2 * SIGNATURE_BYTES :], bytes.fromhex(plain[: 2 * SIGNATURE_BYTES])


def is_veiled(entry: Any) -> bool:
    """Whether an entry of the log keeps its amount in its veiled receipt alone."""
    receipt: str | None = getattr(entry, "receipt", None)
    return receipt is not None and receipt.startswith(PREFIX)
