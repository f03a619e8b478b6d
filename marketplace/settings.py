"""Settings: one frozen object read from the environment once; nobody else reads the environment.

All names that are missing or wrong are reported together. `docs/settings.md` lists them with their defaults.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from marketplace.money import EXPONENTS

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout or installation folder."""


_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")


class WrongSettings(Exception):
    """The environment does not describe a runnable product; the message lists every fault."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where objects lie when they are not in a folder."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the product needs to know of its surroundings. Keys are 32 random bytes, base64 in the environment."""

    database_url: str
    redis_url: str
    secret_key: bytes = field(repr=False)
    """Signs short-lived links; changing it invalidates them."""
    identity_key: bytes = field(repr=False)
    """Encrypts identity numbers at rest (AES-256-GCM)."""
    matching_key: bytes = field(repr=False)
    """Keyed hash of identity numbers for matching (HMAC-SHA-256)."""
    files_path: Path = ROOT / "var" / "files"
    s3: S3Settings | None = None
    elasticsearch_url: str | None = None
    stripe_api_key: str | None = field(default=None, repr=False)
    stripe_webhook_secret: str | None = field(default=None, repr=False)
    stripe_api_base: str | None = None
    """Where Stripe is asked, for tests; None: at its own address."""

    stripe_currencies: frozenset[str] = frozenset()
    """Currencies in which our account at Stripe keeps a balance; empty: those in which we have a bank account."""

    public_url: str = "http://127.0.0.1:8000"
    live_url: str | None = None
    """Where the live door takes bids, if one runs; clients are told."""

    feed_url: str | None = None
    """Origin under which browsers reach the feed process; None: pages ask the web server once a second."""

    max_upload_bytes: int = 512 * 1024 * 1024
    secure_cookies: bool = False
    database_pool_size: int = 10
    statement_seconds: int = 60
    """How long a statement of a request may take; jobs and clockwork raise it for themselves."""

    synchronous_cases: int = 10_000
    """How many cases are frozen or classified while their seller waits; more of them are a job."""

    trusted_proxies: int = 0
    """Proxies in front whose X-Forwarded headers are believed: address, scheme and host of the visitor."""

    webhooks_to_private: bool = False
    """Whether webhooks may go to private and loopback addresses, to loopback without TLS: for development."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the environment; raise `WrongSettings` naming everything that is missing or wrong."""
        reader = _Reader(environ)
        settings = {
            "database_url": reader.text("DATABASE_URL"),
            "redis_url": reader.text("REDIS_URL"),
            "secret_key": reader.key("SECRET_KEY"),
            "identity_key": reader.key("IDENTITY_KEY"),
            "matching_key": reader.key("MATCHING_KEY"),
            "files_path": Path(environ.get("FILES_PATH", str(ROOT / "var" / "files"))),
            "s3": reader.s3(),
            "elasticsearch_url": environ.get("ELASTICSEARCH_URL"),
            "stripe_api_key": environ.get("STRIPE_API_KEY") or None,
            "stripe_webhook_secret": environ.get("STRIPE_WEBHOOK_SECRET") or None,
            "stripe_api_base": reader.origin("STRIPE_API_BASE"),
            "stripe_currencies": reader.currencies("STRIPE_CURRENCIES"),
            "public_url": environ.get("PUBLIC_URL", "http://127.0.0.1:8000"),
            "live_url": environ.get("LIVE_URL") or None,
            "feed_url": reader.origin("FEED_URL"),
            "max_upload_bytes": reader.count("MAX_UPLOAD_BYTES", 512 * 1024 * 1024),
            "secure_cookies": environ.get("SECURE_COOKIES", "") == "1",
            "database_pool_size": reader.count("DATABASE_POOL_SIZE", 10),
            "statement_seconds": reader.count("STATEMENT_SECONDS", 60),
            "synchronous_cases": reader.count("SYNCHRONOUS_CASES", 10_000, minimum=0),
            "webhooks_to_private": environ.get("WEBHOOKS_TO_PRIVATE", "") == "1",
            "trusted_proxies": reader.count("TRUSTED_PROXIES", 0, minimum=0),
        }
        if reader.faults:
            raise WrongSettings("Settings: " + "; ".join(reader.faults))
        return cls(**settings)  # type: ignore[arg-type]  # wider in the library than in its stubs


class _Reader:
    """Collects faults instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def text(self, name: str) -> str:
        value = self.environ.get(name, "")
        if not value:
            self.faults.append(f"{name} is missing")
        return value

    def key(self, name: str) -> bytes:
        text = self.text(name)
        try:
            value = base64.b64decode(text, validate=True)
        except ValueError:
            value = b""
        if text and len(value) != 32:  # noqa: PLR2004 - the key length of AES-256
            self.faults.append(f"{name} is not 32 bytes in base64")
        return value

    def origin(self, name: str) -> str | None:
        """Read scheme, host and port, nothing else: it becomes part of a security policy."""
        text = self.environ.get(name, "")
        if text and not _ORIGIN.fullmatch(text):
            self.faults.append(f"{name} is not an origin such as https://feed.example.org")
        return text or None

    def currencies(self, name: str) -> frozenset[str]:
        """Read codes of currencies traded here, between commas."""
        found = frozenset(code.strip() for code in self.environ.get(name, "").split(",") if code.strip())
        if not found <= EXPONENTS.keys():
            self.faults.append(f"{name} names {', '.join(sorted(found - EXPONENTS.keys()))}, not traded here")
        return found

    def count(self, name: str, default: int, *, minimum: int = 1) -> int:
        text = self.environ.get(name, str(default))
        if not text.isascii() or not text.isdigit() or int(text) < minimum:
            self.faults.append(f"{name} is not a whole number of at least {minimum}")
            return default
        return int(text)

    def s3(self) -> S3Settings | None:
        if not self.environ.get("S3_ENDPOINT"):
            return None
        return S3Settings(
            endpoint=self.text("S3_ENDPOINT"),
            bucket=self.text("S3_BUCKET"),
            access_key=self.text("S3_ACCESS_KEY"),
            secret_key=self.text("S3_SECRET_KEY"),
            region=self.environ.get("S3_REGION", "us-east-1"),
        )
