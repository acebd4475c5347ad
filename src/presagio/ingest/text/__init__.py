"""Delimited text: from bytes to characters, lines, records and checked rows."""
