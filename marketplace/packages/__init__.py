"""Packages: cases sold together, frozen at a cut-off date, with their tape, header and strata."""
