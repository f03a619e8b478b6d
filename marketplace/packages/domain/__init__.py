"""The rules of packages: states, the header that an announcement prints, strata, and the tape as bytes."""
