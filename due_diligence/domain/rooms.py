"""Rooms, access to them, the agreement that opens them, and the audience of a document. Pure."""

import enum
import hashlib
from typing import Final

from marketplace.errors import Conflict, Invalid, Refused
from marketplace.lifecycle import Lifecycle


class RoomState(enum.StrEnum):
    """Whether outsiders can enter: only an open room."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"


ROOM: Final = Lifecycle(
    "Room",
    RoomState.DRAFT,
    [
        (RoomState.DRAFT, "open", RoomState.OPEN),
        (RoomState.OPEN, "close", RoomState.CLOSED),
        (RoomState.CLOSED, "reopen", RoomState.OPEN),
    ],
)


class RoomAccess(enum.StrEnum):
    """Who may come without being invited: any licensed buyer, or nobody."""

    LICENSED_BUYERS = "licensed_buyers"
    INVITED = "invited"


class GrantState(enum.StrEnum):
    """Whether an organisation's access to a room holds."""

    LIVE = "live"
    REVOKED = "revoked"


GRANT: Final = Lifecycle("Grant", GrantState.LIVE, [(GrantState.LIVE, "revoke", GrantState.REVOKED)])


class GrantBasis(enum.StrEnum):
    """Why access was given: the seller invited the organisation, or it came by itself with a licence."""

    INVITATION = "invitation"
    LICENCE = "licence"


class DocumentState(enum.StrEnum):
    """Whether a document is in the room; a withdrawn one keeps its index number and its record."""

    PRESENT = "present"
    WITHDRAWN = "withdrawn"


DOCUMENT: Final = Lifecycle(
    "Document", DocumentState.PRESENT, [(DocumentState.PRESENT, "withdraw", DocumentState.WITHDRAWN)]
)


class Audience(enum.StrEnum):
    """For whom a document is: every buyer in the room, only invited ones, or nobody outside (kept for the file)."""

    BUYERS = "buyers"
    INVITED = "invited"
    INTERNAL = "internal"


class RoomNotOpen(Conflict):
    """Outsiders do nothing in a room that is not open."""

    code = "room_not_open"

    def __init__(self) -> None:
        super().__init__("The room is not open now.")


class AgreementMissing(Conflict):
    """A room cannot open without the text that its visitors agree to."""

    code = "agreement_missing"

    def __init__(self) -> None:
        super().__init__("The room has no confidentiality agreement; add its text before opening.")


class AgreementNotAccepted(Refused):
    """Content is given only to organisations that accepted the current agreement."""

    code = "agreement_not_accepted"

    def __init__(self) -> None:
        super().__init__("Accept the room's current confidentiality agreement first: POST …/agreement/accept.")


class AgreementChanged(Conflict):
    """The text that was read is no longer the room's current one."""

    code = "agreement_changed"

    def __init__(self, current: str) -> None:
        super().__init__("The agreement is another version now; read it again and accept that.", current=current)


class PersonNeeded(Refused):
    """A promise is made by a person, not by a program with a key."""

    code = "person_needed"

    def __init__(self) -> None:
        super().__init__("An API key cannot accept an agreement; a person signs in and accepts it.")


class EmptyAgreement(Invalid):
    """An agreement needs both languages."""

    code = "empty_agreement"

    def __init__(self) -> None:
        super().__init__("Give the text of the agreement in Chinese and in English.")


def agreement_hash(*, text_zh: str, text_en: str) -> str:
    """Return the SHA-256 (hex) under which both texts together are one version; raise `EmptyAgreement`.

    The lengths are hashed too, so that no two pairs of texts share a hash by moving words from one to the other.
    """
    if not text_zh.strip() or not text_en.strip():
        raise EmptyAgreement
    digest = hashlib.sha256()
    for text in (text_zh, text_en):
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()


def may_enter(*, access: RoomAccess, grant: tuple[GrantState, GrantBasis] | None, licensed: bool) -> bool:
    """Whether an organisation has access to an open room: a pure decision over its latest grant and its licence.

    A revoked grant closes the door whatever the room's access is. An invitation opens it without a licence; access
    that came by licence lasts as long as the licence *and* the room's openness to licensed buyers.
    """
    if grant is None:
        return access is RoomAccess.LICENSED_BUYERS and licensed
    state, basis = grant
    if state is GrantState.REVOKED:
        return False
    return basis is GrantBasis.INVITATION or (access is RoomAccess.LICENSED_BUYERS and licensed)


def audiences(basis: GrantBasis | None) -> frozenset[Audience]:
    """Return the audiences to which a buyer belongs; None stands for one who has no grant yet."""
    if basis is GrantBasis.INVITATION:
        return frozenset({Audience.BUYERS, Audience.INVITED})
    return frozenset({Audience.BUYERS})


class DisclosureKind(enum.StrEnum):
    """What was given: a document's marked copy, or the package's masked tape."""

    DOCUMENT = "document"
    MASKED_TAPE = "masked_tape"
