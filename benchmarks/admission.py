"""What lets a bidder bid, made by hand: a room with an accepted agreement, a licence that holds, a signing key."""

import uuid
from datetime import date, datetime

from sqlalchemy.orm import Session

from auctions import signing
from due_diligence.domain.rooms import GrantBasis, GrantState, RoomAccess, RoomState
from due_diligence.models import AgreementAcceptance, AgreementVersion, Grant, Room
from marketplace.crypto import Vault
from marketplace.parties.domain import LicenceKind, LicenceState
from marketplace.parties.models import Licence, User

DIGEST = "0" * 64


def make_key(session: Session, *, key: bytes, at: datetime) -> None:
    """Make the key under which receipts are signed, for an installation whose own keys are all `key`."""
    signing.ensure_key(session, vault=Vault(key, key), at=at)


def open_room(session: Session, *, package_id: uuid.UUID, seller_id: uuid.UUID, at: datetime) -> AgreementVersion:
    """Open the package's room; returns the agreement to be accepted."""
    room = Room(
        package_id=package_id, organisation_id=seller_id, access=RoomAccess.INVITED, state=RoomState.OPEN, created_at=at
    )
    session.add(room)
    session.flush()
    agreement = AgreementVersion(
        room_id=room.id, number=1, text_zh="保密", text_en="secret", sha256=DIGEST, created_at=at
    )
    session.add(agreement)
    session.flush()
    return agreement


def admit(session: Session, user: User, agreement: AgreementVersion, *, at: datetime) -> None:
    """Give a buyer a licence, access to the room, and let its user accept the agreement."""
    buyer = user.organisation_id
    grant = Grant(
        room_id=agreement.room_id, organisation_id=buyer, basis=GrantBasis.INVITATION, state=GrantState.LIVE,
        created_at=at,
    )  # fmt: skip
    session.add(grant)
    session.add(
        Licence(
            organisation_id=buyer, kind=LicenceKind.LOCAL_AMC, state=LicenceState.APPROVED, number=str(buyer),
            issuer="benchmark", valid_from_on=date(2020, 1, 1), created_at=at,
        )
    )  # fmt: skip
    session.flush()
    session.add(
        AgreementAcceptance(
            grant_id=grant.id, agreement_version_id=agreement.id, sha256=DIGEST, at=at, organisation_id=buyer,
            user_id=user.id, user_name=user.name,
        )
    )  # fmt: skip
