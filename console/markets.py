"""The markets' rules as data: each preset with its versions, legal checks and their sources."""

from typing import Any

from auctions import service as auctions
from console import sale as sales
from console import site
from console.site import pages
from marketplace import http, policies
from marketplace.clock import local_date


@pages.route("/markets", policy=policies.signed_in())
def markets() -> Any:
    """Show every version of every preset: what a listing in it has to keep, and by which law."""
    return site.render(
        "markets.html",
        presets=[(preset, sales.title_of_preset(preset), sales.rules_of(preset)) for preset in auctions.PRESETS],
        in_force=[one for one in auctions.PRESETS if auctions.is_in_force(one, local_date(http.at(), one.zone))],
    )
