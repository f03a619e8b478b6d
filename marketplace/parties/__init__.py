"""Who takes part: organisations, their licences, users, sign-in sessions and API keys."""
