"""The process that reads files which nobody trusts: its parent, its child, and what they share."""
