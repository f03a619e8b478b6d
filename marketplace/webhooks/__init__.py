"""Webhooks: what happens is told to the programs of those it concerns, signed, again until it was heard."""
