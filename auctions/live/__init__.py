"""The live door of auctions: bids decided in lanes. Loops and queues, no truth."""
