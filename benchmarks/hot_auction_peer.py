"""The two programs that the hot auction is compared with: the obvious way, and the bare server.

`app`: a naive peer as one writes it first: Flask, the ORM, `SELECT … FOR UPDATE`, check, add, commit; with a token, an
idempotency key and the same English rules in five lines. `hello()`: the live door's
server answering constant JSON, the ceiling. Run by `hot_auction.py`; PEER_DATABASE_URL says where its three tables are.
"""

import os
from datetime import UTC, datetime
from typing import Any

from flask import Flask, jsonify, request
from sqlalchemy import ForeignKey, UniqueConstraint, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    """The peer's own tables."""


class Bidder(Base):
    """Who may bid."""

    __tablename__ = "peer_bidders"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)


class Auction(Base):
    """The hot row."""

    __tablename__ = "peer_auctions"
    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[int]
    increment: Mapped[int]
    ends_at: Mapped[datetime]
    leader_id: Mapped[int | None] = mapped_column(ForeignKey("peer_bidders.id"))
    sequence: Mapped[int]
    bids: Mapped[list["Bid"]] = relationship(back_populates="auction")


class Bid(Base):
    """An accepted bid."""

    __tablename__ = "peer_bids"
    id: Mapped[int] = mapped_column(primary_key=True)
    auction_id: Mapped[int] = mapped_column(ForeignKey("peer_auctions.id"))
    bidder_id: Mapped[int] = mapped_column(ForeignKey("peer_bidders.id"))
    sequence: Mapped[int]
    amount: Mapped[int]
    key: Mapped[str]
    at: Mapped[datetime]
    auction: Mapped[Auction] = relationship(back_populates="bids")

    __table_args__ = (UniqueConstraint("bidder_id", "key"), UniqueConstraint("auction_id", "sequence"))


def peer() -> Flask:
    """Return the naive application."""
    engine = create_engine(os.environ["PEER_DATABASE_URL"], pool_size=40)
    app = Flask("peer")

    @app.post("/auctions/<int:auction_id>/bids")
    def bid(auction_id: int) -> Any:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        amount = int(request.get_json()["amount"]["amount"].replace(".", ""))
        with Session(engine) as session:
            bidder = session.scalars(select(Bidder).where(Bidder.token == token)).one()
            auction = session.scalars(select(Auction).where(Auction.id == auction_id).with_for_update()).one()
            now = datetime.now(UTC).replace(tzinfo=None)
            minimum = auction.price + auction.increment
            if now >= auction.ends_at:
                return jsonify(code="late"), 409
            if auction.leader_id == bidder.id:
                return jsonify(code="already_leading", minimum_next=_money(minimum)), 409
            if amount < minimum:
                return jsonify(code="below_minimum", minimum_next=_money(minimum)), 409
            auction.sequence += 1
            auction.price, auction.leader_id = amount, bidder.id
            key = request.headers["Idempotency-Key"]
            session.add(
                Bid(auction=auction, bidder_id=bidder.id, sequence=auction.sequence, amount=amount, key=key, at=now)
            )
            session.commit()
            return jsonify(sequence=auction.sequence, minimum_next=_money(auction.price + auction.increment)), 201

    return app


def _money(minor: int) -> dict[str, str]:
    return {"amount": f"{minor // 100}.{minor % 100:02d}", "currency": "CNY"}


app = peer() if "PEER_DATABASE_URL" in os.environ else None
