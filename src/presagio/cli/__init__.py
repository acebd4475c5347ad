"""The command line: an index of commands, what they work with, and how they print."""
