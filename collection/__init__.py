"""What has been done to recover it? Levels, contacts and their rules, payments on a case; and the clocks of a claim."""
