"""The rules of settlement, pure: funds flow, allocation, the life of a deal, ledger, statements, matching."""
