"""Auctions: who gets a package, and at what price.

Listings, registrations, the rules of the formats, bids, extension of the end, awards. Auctions never knows how money
moves: settlement calls down to say that a registration is covered and that a contract is signed.
"""
