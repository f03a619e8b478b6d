"""The rules of valuation: one module per subject, `methods` for the documents by which anyone recomputes a figure."""
