"""The door of due diligence: what its routes and later stages may ask. The work is in the files beside it."""

from due_diligence.access import (
    Standing,
    accept_agreement,
    agreement_in_force,
    agreement_of,
    agreements_in_force,
    grant_access,
    list_grants,
    revoke_access,
    room_of_package,
    standing,
    visible_room,
)
from due_diligence.disclosures import ExportFormat, export_disclosures, list_disclosures
from due_diligence.documents import (
    Content,
    DocumentView,
    IndexView,
    add_document,
    add_folder,
    add_version,
    read_version,
    room_index,
    visible_document,
    withdraw_document,
)
from due_diligence.links import Download, IssuedLink, give_document, give_masked_tape, open_link
from due_diligence.models import Room
from due_diligence.rooms import create_room, list_rooms, move_room, write_agreement

__all__ = [
    "Content",
    "DocumentView",
    "Download",
    "ExportFormat",
    "IndexView",
    "IssuedLink",
    "Room",
    "Standing",
    "accept_agreement",
    "add_document",
    "add_folder",
    "add_version",
    "agreement_in_force",
    "agreement_of",
    "agreements_in_force",
    "create_room",
    "export_disclosures",
    "give_document",
    "give_masked_tape",
    "grant_access",
    "list_disclosures",
    "list_grants",
    "list_rooms",
    "move_room",
    "open_link",
    "read_version",
    "revoke_access",
    "room_index",
    "room_of_package",
    "standing",
    "visible_document",
    "visible_room",
    "withdraw_document",
    "write_agreement",
]
