"""What is in it? Data rooms, documents and their versions, agreements, grants, marked delivery and its record.

It knows the ground (`marketplace`) and `collection`, never `valuation` or a later stage.
"""
