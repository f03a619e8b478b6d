"""Routes beside the listings themselves: presets with their sources, versions of announcements, calendars."""

import uuid
from typing import Any

from flask import Response

from auctions import listing_schemas as schemas
from auctions import service
from auctions.domain import calendars, icalendar, presets
from marketplace import http
from marketplace.parties import service as parties
from marketplace.policies import public, signed_in

blueprint = http.Blueprint("announcements", description="Under which rules, and when?")


@blueprint.get("/presets", policy=signed_in())
@blueprint.response(200, schemas.PresetsOut)
def list_presets() -> dict[str, Any]:
    """Show every version of every preset with its sources, and the calendars of working days."""
    today = parties.market_day(http.at())
    return {
        "presets": [schemas.shown_preset(preset, in_force=preset.holds_on(today)) for preset in presets.PRESETS],
        "calendars": list(calendars.CALENDARS.values()),
        "calendars_version": calendars.VERSION,
    }


@blueprint.get("/listings/<uuid:listing_id>/announcements", policy=signed_in())
@blueprint.response(200, schemas.AnnouncementsOut)
def list_announcements(listing_id: uuid.UUID) -> dict[str, Any]:
    """Show what was announced, with hashes: the first version and each rectification."""
    return {"items": service.announcements(http.session(), listing_id=listing_id, actor=http.actor())}


@blueprint.post("/calendar-feeds", policy=signed_in(), idempotent=False)
@blueprint.arguments(schemas.CalendarFeedIn)
@blueprint.response(201, schemas.IssuedFeedOut)
def issue_calendar_feed(data: dict[str, Any]) -> dict[str, Any]:
    """Make a secret link for a calendar program; its address is shown this once."""
    issued = service.issue_feed(http.session(), **data, actor=http.actor(), at=http.at())
    return {"feed": issued.feed, "path": f"/api/v1/auctions.ics?token={issued.token}"}


@blueprint.get("/calendar-feeds", policy=signed_in())
@blueprint.response(200, schemas.CalendarFeedsOut)
def list_calendar_feeds() -> dict[str, Any]:
    """List one's own calendar links that are still good."""
    return {"items": service.list_feeds(http.session(), actor=http.actor(), at=http.at())}


@blueprint.post("/calendar-feeds/<uuid:feed_id>/revoke", policy=signed_in())
@blueprint.response(204)
def revoke_calendar_feed(feed_id: uuid.UUID) -> None:
    """End a calendar link at once."""
    service.revoke_feed(http.session(), feed_id=feed_id, actor=http.actor(), at=http.at())


@blueprint.get("/auctions.ics", policy=public())
@blueprint.arguments(schemas.CalendarArgs, location="query")
@blueprint.download(icalendar.MEDIA_TYPE)
def show_calendar(data: dict[str, Any]) -> Response:
    """Give the announced auctions as iCalendar, to whoever is signed in or holds a good link."""
    content = service.calendar(http.session(), token=data["token"], actor=http.visitor(), at=http.at())
    return http.download(content, name="auctions.ics", media_type=icalendar.MEDIA_TYPE)


@blueprint.get("/listings/<uuid:listing_id>/calendar.ics", policy=signed_in())
@blueprint.download(icalendar.MEDIA_TYPE)
def show_listing_calendar(listing_id: uuid.UUID) -> Response:
    """Give one listing as iCalendar."""
    content = service.listing_calendar(http.session(), listing_id=listing_id, actor=http.actor(), at=http.at())
    return http.download(content, name="auction.ics", media_type=icalendar.MEDIA_TYPE)
