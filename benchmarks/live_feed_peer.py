"""The obvious feed, for comparison: Flask with a generator, a thread for each watcher, each asking the database itself.

A worker has as many watchers as it has threads; everybody else waits in the queue. No credential, no bound.
"""

import json
import os
import time
from collections.abc import Iterator

from flask import Flask, Response
from sqlalchemy import create_engine, text

PAUSE = 1.0
_NEWS = text("SELECT number, price_minor, leader FROM auction_events WHERE auction_id = :id AND number > :after")


def peer() -> Flask:
    """Return the naive application."""
    engine = create_engine(os.environ["PEER_DATABASE_URL"], pool_size=40, max_overflow=0, pool_timeout=60)
    app = Flask("peer")

    @app.get("/auctions/<uuid:auction_id>/feed")
    def follow(auction_id: str) -> Response:
        def stream() -> Iterator[str]:
            with engine.connect() as connection:
                query = text("SELECT coalesce(max(number), 0) FROM auction_events WHERE auction_id = :id")
                after = connection.execute(query, {"id": auction_id}).scalar_one()
            yield "event: standing\ndata: {}\n\n"
            while True:
                with engine.connect() as connection:
                    rows = connection.execute(_NEWS, {"id": auction_id, "after": after}).all()
                for number, price, leader in rows:
                    after = max(after, number)
                    yield f"id: {number}\nevent: bid\ndata: {json.dumps({'price': price, 'leader': leader})}\n\n"
                time.sleep(PAUSE)

        return Response(stream(), mimetype="text/event-stream")

    return app


app = peer() if "PEER_DATABASE_URL" in os.environ else None
