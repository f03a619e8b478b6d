"""Who `people` are: an operator, two sellers, three buyers, a valuer and an auditor, with a user for each role.

Every organisation is active and (the operator aside) has a licence in force from 2020 on; every user has the password
`PASSWORD` and is signed in for twelve hours of the test's clock: `people.seller.token`.
"""

import functools
import secrets
import uuid
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session
from stdnum.cn import uscc

from marketplace.actor import SYSTEM, Actor, OrganisationKind, Role
from marketplace.crypto import token_hash
from marketplace.parties import models, passwords, service
from marketplace.parties.domain import LicenceKind, UserState, credentials

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Person:
    """A user with a session."""

    login: str
    token: str
    actor: Actor

    @property
    def user_id(self) -> uuid.UUID:
        assert self.actor.user_id is not None
        return self.actor.user_id

    @property
    def organisation_id(self) -> uuid.UUID:
        return self.actor.organisation_id


@dataclass(frozen=True)
class People:
    """One of each; `other_…` and `third_…` are of other organisations of the same kind."""

    admin: Person
    finance: Person
    compliance: Person
    seller: Person
    seller_agent: Person
    other_seller: Person
    buyer: Person
    buyer_analyst: Person
    other_buyer: Person
    third_buyer: Person
    valuer: Person
    auditor: Person


@functools.cache
def _password_hash() -> str:
    return passwords.hash_new(PASSWORD, login="nobody")


def make_uscc(number: int) -> str:
    """The unified social credit code, check character included, of the n-th imaginary company."""
    body = f"91110000{number:09d}"
    return body + str(uscc.calc_check_digit(body))


class Founder:
    """Makes organisations and people in a session, without a request for each step."""

    def __init__(self, session: Session, *, at: datetime) -> None:
        self.session = session
        self.at = at
        self.count = 0
        self.admin: Actor | None = None

    def organisation(
        self, kind: OrganisationKind, name: str, licence: LicenceKind | None = None
    ) -> models.Organisation:
        """An active organisation, with an approved licence if one is named."""
        self.count += 1
        organisation = service.create_organisation(
            self.session, name=name, kind=kind, country="CN", uscc=make_uscc(self.count), province="33",
            actor=SYSTEM, at=self.at,
        )  # fmt: skip
        service.decide_organisation(
            self.session, organisation_id=organisation.id, verb="approve", actor=SYSTEM, at=self.at
        )
        if licence is not None:
            assert self.admin is not None, "the operator comes first"
            row = service.submit_licence(
                self.session, organisation_id=organisation.id, kind=licence, number=f"L-{self.count}",
                issuer="国家金融监督管理总局", valid_from_on=date(2020, 1, 1), valid_until_on=None,
                actor=self.admin, at=self.at,
            )  # fmt: skip
            service.decide_licence(self.session, licence_id=row.id, verb="approve", actor=self.admin, at=self.at)
        return organisation

    def person(self, organisation: models.Organisation, role: Role, login: str) -> Person:
        """A user of an organisation with one role, signed in."""
        user = models.User(
            organisation_id=organisation.id, login=login, name=login.replace("-", " ").title(), state=UserState.ACTIVE,
            roles=[role.value], password_hash=_password_hash(), created_at=self.at,
        )  # fmt: skip
        self.session.add(user)
        self.session.flush()
        token = credentials.session_token(secrets.token_bytes(credentials.TOKEN_BYTES))
        self.session.add(
            models.UserSession(
                user_id=user.id, token_hash=token_hash(token), created_at=self.at,
                expires_at=self.at + credentials.SESSION_LIFETIME,
            )
        )  # fmt: skip
        self.session.flush()
        actor = service.authenticate(self.session, token, at=self.at)
        assert actor is not None
        return Person(login, token, actor)


def found(session: Session, *, at: datetime) -> People:
    """Make everybody in this session."""
    founder = Founder(session, at=at)
    operator = founder.organisation(OrganisationKind.OPERATOR, "市场运营方")
    admin = founder.person(operator, Role.OPERATOR_ADMIN, "admin")
    founder.admin = admin.actor
    seller = founder.organisation(OrganisationKind.SELLER, "东海银行", LicenceKind.BANK)
    other_seller = founder.organisation(OrganisationKind.SELLER, "西山消费金融", LicenceKind.CONSUMER_FINANCE)
    buyer = founder.organisation(OrganisationKind.BUYER, "华信资产", LicenceKind.NATIONAL_AMC)
    other_buyer = founder.organisation(OrganisationKind.BUYER, "浙江地方资产", LicenceKind.LOCAL_AMC)
    third_buyer = founder.organisation(OrganisationKind.BUYER, "金投资产", LicenceKind.AIC)
    valuer = founder.organisation(OrganisationKind.VALUER, "正衡评估", LicenceKind.VALUATION_FIRM)
    auditor = founder.organisation(OrganisationKind.AUDITOR, "明鉴审计", LicenceKind.AUDIT_FIRM)
    return People(
        admin=admin,
        finance=founder.person(operator, Role.OPERATOR_FINANCE, "finance"),
        compliance=founder.person(operator, Role.OPERATOR_COMPLIANCE, "compliance"),
        seller=founder.person(seller, Role.SELLER_MANAGER, "seller"),
        seller_agent=founder.person(seller, Role.SELLER_AGENT, "seller-agent"),
        other_seller=founder.person(other_seller, Role.SELLER_MANAGER, "other-seller"),
        buyer=founder.person(buyer, Role.BUYER_BIDDER, "buyer"),
        buyer_analyst=founder.person(buyer, Role.BUYER_ANALYST, "buyer-analyst"),
        other_buyer=founder.person(other_buyer, Role.BUYER_BIDDER, "other-buyer"),
        third_buyer=founder.person(third_buyer, Role.BUYER_BIDDER, "third-buyer"),
        valuer=founder.person(valuer, Role.VALUER_APPRAISER, "valuer"),
        auditor=founder.person(auditor, Role.AUDITOR, "auditor"),
    )
