"""The stack without Docker: which services, in what order, healthy when, and their supervisor."""
