"""Commands: a module is imported when one of its commands is run, and imports what it needs."""
