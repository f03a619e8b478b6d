"""How do money and title change hands? Ledger, deposits, payments, deals, allocation to every case, reconciliation."""
