"""The demonstration: made-up data and a client that plays the whole journey over the public HTTP API only."""
