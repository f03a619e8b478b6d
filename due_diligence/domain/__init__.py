"""The rules of due diligence: rooms and access, index numbers, what a PDF may be, what a marked copy says."""
