"""The rules of cases: states and grades, identity numbers, masking, and how a tape is read, mapped and checked."""
