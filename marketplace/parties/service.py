"""The door of the parties: what routes and other packages may ask. The work is in the files beside it, by subject."""

from marketplace.parties.affiliates import (
    Identities,
    add_affiliate,
    identities_of,
    list_affiliates,
    operator_organisations,
    remove_affiliate,
)
from marketplace.parties.api_keys import IssuedKey, issue_key, list_keys, revoke_key
from marketplace.parties.domain.credentials import SignInLimits, TooManySignIns
from marketplace.parties.licences import (
    decide_licence,
    licence_in_force,
    licences_in_force,
    list_licences,
    market_day,
    submit_licence,
)
from marketplace.parties.organisations import (
    create_organisation,
    decide_organisation,
    list_organisations,
    operator_exists,
    organisation_names,
    require_organisation,
    visible_organisation,
)
from marketplace.parties.sign_in import (
    SignedIn,
    authenticate,
    authenticate_all,
    change_password,
    forget,
    sign_in,
    sign_out,
)
from marketplace.parties.users import (
    create_first_operator,
    create_user,
    disable_user,
    enable_user,
    find_user,
    list_users,
    may_sign_in,
)

__all__ = [
    "Identities",
    "IssuedKey",
    "SignInLimits",
    "SignedIn",
    "TooManySignIns",
    "add_affiliate",
    "authenticate",
    "authenticate_all",
    "change_password",
    "create_first_operator",
    "create_organisation",
    "create_user",
    "decide_licence",
    "decide_organisation",
    "disable_user",
    "enable_user",
    "find_user",
    "forget",
    "identities_of",
    "issue_key",
    "licence_in_force",
    "licences_in_force",
    "list_affiliates",
    "list_keys",
    "list_licences",
    "list_organisations",
    "list_users",
    "market_day",
    "may_sign_in",
    "operator_exists",
    "operator_organisations",
    "organisation_names",
    "remove_affiliate",
    "require_organisation",
    "revoke_key",
    "sign_in",
    "sign_out",
    "submit_licence",
    "visible_organisation",
]
