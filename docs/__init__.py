"""Documents, and the program that generates some of them."""
