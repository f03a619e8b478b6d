"""The rules of collection: one module per subject, `computations` for the documents by which anyone recomputes."""
