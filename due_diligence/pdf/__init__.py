"""PDF work on bytes that others chose: everything that parses them runs in a limited child process (`child`).

`sandbox` starts the child and outlives it, `reader` and `stamp` are what runs inside, `mark` draws what is stamped
(our own text, drawn in the parent), `delivery` puts them together: a copy is marked, then checked by a second child
that has never seen the original; what is not verified is not given out.
"""
