"""Verification of a bundle, offline: first every byte, then everything that the bytes say.

The bytes come first: an archive, a member or a signature that is not as it was made is named, and nothing is concluded
from it. Then the statements: rules against their hash, reserve against its commitment, the replay against the result,
every receipt against key, log and chain, every sealed box against its receipt, awards against the result. Whoever
signed a bundle anew must have made all of these agree, receipts in the hands of bidders included.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from auctions.domain import bundle, proofs
from auctions.domain.bundle import ARCHIVE, MANIFEST, SIGNATURE
from auctions.domain.canonical import canonical
from auctions.domain.evidence_checks import CHECKS
from auctions.domain.findings import Contents, Finding, Unreadable
from marketplace.errors import Failure, Invalid

MAX_BYTES: Final = 512 * 1024 * 1024


class NotABundle(Invalid):
    """Nothing in the file looks like a bundle."""

    code = "not_a_bundle"

    def __init__(self) -> None:
        super().__init__(f"The file is no bundle of an auction: a ZIP archive of at most {MAX_BYTES} bytes.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found. `checked`: how much of each kind was looked at."""

    auction_id: str | None
    key_ids: Sequence[str]
    keys_published: bool
    checked: Mapping[str, int]
    findings: Sequence[Finding]

    @property
    def document(self) -> dict[str, Any]:
        """The verdict as JSON; `ok` says all."""
        return {
            "ok": not self.findings,
            "auction_id": self.auction_id,
            "key_ids": list(self.key_ids),
            "keys": "published" if self.keys_published else "those in the bundle; compare them with the published ones",
            "checked": dict(self.checked),
            "findings": [finding.document for finding in self.findings],
        }


def verify(content: bytes, *, published: Sequence[Mapping[str, Any]] | None = None) -> Verdict:
    """Check a bundle; `published` are the keys as `GET /api/v1/auction-keys` lists them, for whoever fetched them.

    Raises `NotABundle` for what is none at all; anything else that is wrong is a finding.
    """
    try:
        members, broken = bundle.unpack(content[: MAX_BYTES + 1])
    except bundle.NotAnArchive:
        raise NotABundle from None
    findings = [Finding(name, "bytes_changed", "The bytes are not those of the canonical archive.") for name in broken]
    findings = findings or _names(members)
    if findings:
        return Verdict(None, (), published is not None, {"members": len(members)}, findings)
    values, findings = _read(members)
    findings = findings or _signed(dict(members), values) or _manifest(members, values[MANIFEST])
    key_ids = [] if findings else [row["key_id"] for row in values["keys.json"] if isinstance(row, dict)]
    auction_id = None if findings else values[MANIFEST].get("auction_id")
    checked = {"members": len(members)}
    if not findings:
        findings = _statements(values, published, checked)
    return Verdict(auction_id, key_ids, published is not None, checked, findings)


def _names(members: bundle.Members) -> list[Finding]:
    names = [name for name, _ in members]
    allowed = [name for name in bundle.ORDER if name in names or name not in bundle.OPTIONAL]
    if names == allowed:
        return []
    odd = [name for name in names if name not in bundle.ORDER or names.count(name) > 1]
    missing = [name for name in allowed if name not in names]
    return [Finding(name, "unexpected_member", "No bundle has this member, or it has it once.") for name in odd] + [
        Finding(name, "missing_member", "Every bundle has this member.") for name in missing
    ] or [Finding(ARCHIVE, "members_out_of_order", "The members stand in another order than every bundle's.")]


def _read(members: bundle.Members) -> tuple[dict[str, Any], list[Finding]]:
    values, findings = {}, []
    for name, content in members:
        try:
            values[name] = orjson.loads(content)
            same = canonical(values[name]) == content
        except (orjson.JSONDecodeError, TypeError, RecursionError):
            same = False
        if not same:
            findings.append(Finding(name, "not_canonical", "The member is not JSON in its canonical form (RFC 8785)."))
    return values, findings


def _signed(contents: Mapping[str, bytes], values: Mapping[str, Any]) -> list[Finding]:
    """Check the signature over the manifest; which of the two was changed, their hash in the signature tells."""
    try:
        stated, key_id = values[SIGNATURE]["manifest"], values[SIGNATURE]["key_id"]
        signature = proofs.decode_base64(values[SIGNATURE]["signature"])
        public = {row["key_id"]: proofs.decode_base64(row["public_key"]) for row in values["keys.json"]}.get(key_id)
    except (KeyError, TypeError, AttributeError):
        return [Finding(SIGNATURE, "unreadable", "The signature, or the keys, are not written as in every bundle.")]
    manifest = contents[MANIFEST]
    unchanged = stated == proofs.bytes_hash(manifest)
    if public is None or signature is None or not proofs.verify(public, manifest, signature):
        if unchanged and public is not None and proofs.key_id(public) != key_id:
            return [Finding("keys.json", "key_changed", "A key is not the one that its id names.")]
        changed = SIGNATURE if unchanged else MANIFEST
        return [Finding(changed, "signature_wrong", "The signature was not made over this manifest with this key.")]
    if not unchanged or set(values[SIGNATURE]) != {"key_id", "manifest", "signature"}:
        return [Finding(SIGNATURE, "manifest_hash_wrong", "The hash beside the signature is not the manifest's.")]
    said = values[MANIFEST]
    if not isinstance(said, dict) or said.get("key_id") != key_id or said.get("type") != bundle.TYPE:
        return [Finding(MANIFEST, "not_a_manifest", "The manifest names another key, or is no manifest.")]
    return []


def _manifest(members: bundle.Members, manifest: Mapping[str, Any]) -> list[Finding]:
    rows = manifest.get("members")
    stated = [row if isinstance(row, dict) else {} for row in rows] if isinstance(rows, list) else []
    rest = [bundle.describe(name, content) for name, content in members[2:]]
    if [row.get("name") for row in stated] != [row["name"] for row in rest]:
        gone = [name for name in bundle.ORDER if any(row.get("name") == name for row in stated)]
        gone = [name for name in gone if name not in dict(members)]
        return [Finding(name, "missing_member", "The manifest names this member.") for name in gone] + [
            Finding(MANIFEST, "manifest_incomplete", "The manifest names other members than there are.")
        ]
    return [
        Finding(
            found["name"], "member_changed", f"The manifest has {said.get('sha256')}, the member {found['sha256']}."
        )
        for said, found in zip(stated, rest, strict=True)
        if said != found
    ]


def _statements(
    values: Mapping[str, Any], published: Sequence[Mapping[str, Any]] | None, checked: dict[str, int]
) -> list[Finding]:
    contents = Contents(values, published, checked)
    findings: list[Finding] = []
    for member, check in CHECKS:
        findings += _guarded(member, check, contents)
    return findings


def _guarded(member: str, check: Callable[[Contents], Iterable[Finding]], contents: Contents) -> list[Finding]:
    """Run one check; a member in which it does not find what every bundle has is a finding, not a crash."""
    try:
        return list(check(contents))
    except Unreadable as error:
        return [Finding(error.member, "unreadable", error.detail)]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, Failure) as error:
        return [Finding(member, "unreadable", f"{type(error).__name__}: {error}"[:200])]
