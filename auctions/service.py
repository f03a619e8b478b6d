"""The door of auctions: what routes and settlement may ask. The work is in the files beside it, by subject."""

from auctions.award_models import Award, Default
from auctions.award_turns import fail_award, fail_overdue, promote_award, release_award
from auctions.award_views import AwardFile, AwardView, award_file, get_award
from auctions.awards import (
    awards_of_listing,
    check_contract,
    confirm_contract,
    confirm_protocol,
    lock_award,
    require_award,
)
from auctions.bidding import MAX_BATCH, decide_batch, place_bid
from auctions.calendar_feed import IssuedFeed, calendar, issue_feed, list_feeds, listing_calendar, revoke_feed
from auctions.catalogue import ListingPage, ListingView, find_listings, hidden_terms, list_listings, show_listing
from auctions.closing import Result, close_due, log_page, result
from auctions.domain.awards import FailureCause
from auctions.domain.format_terms import takes
from auctions.domain.lifecycles import AuctionOutcome, AwardState, ListingState, LiveState, RegistrationState
from auctions.domain.presets import PRESETS, Preset, is_in_force
from auctions.domain.relisting import planned_start
from auctions.listing import (
    auction_of_listing,
    create_listing,
    get_listing,
    lock_listing,
    preset_of,
    sees_reserve,
    sees_terms,
)
from auctions.lots import LotsPage, LotsWithoutCases, LotView, cases_of_award
from auctions.lots import cut as cut_lots
from auctions.lots import list_cases as list_lot_cases
from auctions.lots import show as show_lots
from auctions.models import Auction, Listing, Registration
from auctions.opening import SealingView, collect_share, submit_share, view_sealing
from auctions.opening import renew as renew_sealing
from auctions.own_receipts import OwnReceipt, check_receipts, list_receipts
from auctions.publishing import Readiness, announcements, publish_listing, readiness, withdraw_listing
from auctions.receipts import Attempt, Receipt
from auctions.rectification import edit_listing
from auctions.registration import (
    RegistrationView,
    cover_registration,
    cover_registrations,
    decide_registration,
    get_registration,
    list_registrations,
    register,
    registration_by_reference,
    registrations_awaiting_deposit,
    registrations_by_reference,
    registrations_of,
    require_registration,
    uncover_registration,
    withdraw_registration,
)
from auctions.viewing import AuctionView, BidView, list_bids, view_auction

__all__ = [
    "MAX_BATCH",
    "PRESETS",
    "Attempt",
    "Auction",
    "AuctionOutcome",
    "AuctionView",
    "Award",
    "AwardFile",
    "AwardState",
    "AwardView",
    "BidView",
    "Default",
    "FailureCause",
    "IssuedFeed",
    "Listing",
    "ListingPage",
    "ListingState",
    "ListingView",
    "LiveState",
    "LotView",
    "LotsPage",
    "LotsWithoutCases",
    "OwnReceipt",
    "Preset",
    "Readiness",
    "Receipt",
    "Registration",
    "RegistrationState",
    "RegistrationView",
    "Result",
    "SealingView",
    "announcements",
    "auction_of_listing",
    "award_file",
    "awards_of_listing",
    "calendar",
    "cases_of_award",
    "check_contract",
    "check_receipts",
    "close_due",
    "collect_share",
    "confirm_contract",
    "confirm_protocol",
    "cover_registration",
    "cover_registrations",
    "create_listing",
    "cut_lots",
    "decide_batch",
    "decide_registration",
    "edit_listing",
    "fail_award",
    "fail_overdue",
    "find_listings",
    "get_award",
    "get_listing",
    "get_registration",
    "hidden_terms",
    "is_in_force",
    "issue_feed",
    "list_bids",
    "list_feeds",
    "list_listings",
    "list_lot_cases",
    "list_receipts",
    "list_registrations",
    "listing_calendar",
    "lock_award",
    "lock_listing",
    "log_page",
    "place_bid",
    "planned_start",
    "preset_of",
    "promote_award",
    "publish_listing",
    "readiness",
    "register",
    "registration_by_reference",
    "registrations_awaiting_deposit",
    "registrations_by_reference",
    "registrations_of",
    "release_award",
    "renew_sealing",
    "require_award",
    "require_registration",
    "result",
    "revoke_feed",
    "sees_reserve",
    "sees_terms",
    "show_listing",
    "show_lots",
    "submit_share",
    "takes",
    "uncover_registration",
    "view_auction",
    "view_sealing",
    "withdraw_listing",
    "withdraw_registration",
]
