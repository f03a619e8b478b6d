"""Cases: the claims of sellers, how they arrive on a tape, who owes and what secures them."""
