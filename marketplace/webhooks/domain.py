"""The rules of webhooks: which addresses may be called, how a message is signed, when it is tried again.

Signatures follow Standard Webhooks (standardwebhooks.com, symmetric `v1`): HMAC-SHA-256 over `id.timestamp.body`.
"""

import base64
import binascii
import enum
import hashlib
import hmac
import ipaddress
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from marketplace.errors import Conflict, Invalid
from marketplace.lifecycle import Lifecycle

SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the public mark of a secret, not one
MAX_ENDPOINTS: Final = 20
"""So many endpoints of one organisation at most."""

MAX_ATTEMPTS: Final = 12
"""After so many attempts, about a day and a half, a message is given up; it can be sent again by hand."""

MAX_FAILURES: Final = 50
"""After so many failed attempts in a row an endpoint is disabled."""

_MAX_URL: Final = 2000
_FIRST_PAUSE: Final = timedelta(seconds=10)
_LONGEST_PAUSE: Final = timedelta(hours=6)


class EndpointState(enum.StrEnum):
    """Whether messages are sent to an endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"


ENDPOINT: Final = Lifecycle(
    "webhook endpoint",
    EndpointState.ENABLED,
    [
        (EndpointState.ENABLED, "disable", EndpointState.DISABLED),
        (EndpointState.DISABLED, "enable", EndpointState.ENABLED),
    ],
)


class UnfitUrl(Invalid):
    """The address is not one that messages may be sent to."""

    code = "unfit_webhook_url"

    def __init__(self, why: str) -> None:
        super().__init__(f"This address cannot be called: {why}.")


class TooManyEndpoints(Conflict):
    """The organisation has as many endpoints as one may have."""

    code = "too_many_webhook_endpoints"

    def __init__(self) -> None:
        super().__init__(f"An organisation has at most {MAX_ENDPOINTS} webhook endpoints.")


class EndpointKnown(Conflict):
    """The organisation has an endpoint with this address."""

    code = "webhook_endpoint_known"

    def __init__(self) -> None:
        super().__init__("There is an endpoint with this address already; change or enable it.")


def check_url(url: str, *, allow_private: bool) -> str:
    """Return an address that may be called; raise `UnfitUrl`.

    HTTPS only; plain HTTP and private hosts only where the setting allows it, and plain HTTP then only to loopback.
    What a name resolves to is checked again at every call (`may_call`).
    """
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise UnfitUrl("it is too long or has characters that an address has not")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UnfitUrl("it cannot be read") from None
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        raise UnfitUrl("it needs a host, and no user, password or fragment")
    literal = _address(host)
    if literal is not None and not may_call(literal, allow_private=allow_private):
        raise UnfitUrl("it is a private, local or reserved address")
    local = host == "localhost" or (literal is not None and literal.is_loopback)
    if host == "localhost" and not allow_private:
        raise UnfitUrl("it is a private, local or reserved address")
    if parts.scheme != "https" and not (parts.scheme == "http" and local and allow_private):
        raise UnfitUrl("https is needed")
    return url


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def may_call(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, allow_private: bool) -> bool:
    """Whether a resolved address may be connected to: a global unicast one, others where the setting allows it.

    An IPv4 address inside an IPv6 one counts as itself. Link-local addresses (cloud metadata) are never called.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return may_call(inner, allow_private=allow_private)
        nat64 = ipaddress.ip_network("64:ff9b::/96")
        if address in nat64:
            return may_call(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), allow_private=allow_private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (allow_private and (address.is_private or address.is_loopback))


def new_secret(random: bytes) -> str:
    """Return a signing secret as receivers configure it: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(random).decode()


def signature(secret: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """Return the header `webhook-signature` of a message; raise ValueError for a secret that is none."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the secret is not base64") from None
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts: doubling from ten seconds, six hours at most."""
    doubled: int = 1 << min(attempts - 1, 20)
    return min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE)
