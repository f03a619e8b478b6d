"""The rules of auctions as pure functions of values: the same code decides live, replays, previews and tests.

`replay` is the way in for documents. A format is a module that satisfies `formats.Format`, listed in `replay.FORMATS`.
"""
