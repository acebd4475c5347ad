"""What the codes of the checker mean, for people: of a row, and of a file as a whole."""

from presagio.console.catalogue import mark

_ROWS = {
    "missing": mark("A value is missing"),
    "not_a_number": mark("Not a number"),
    "thousands_separator": mark("Separator of thousands in a number"),
    "decimal_mark": mark("Another decimal mark than in the rest"),
    "out_of_range": mark("Outside the plausible range"),
    "not_a_boolean": mark("Neither yes nor no"),
    "unknown_category": mark("Unknown category"),
    "not_a_time": mark("Not a time"),
    "nul_character": mark("A NUL character in text"),
    "other_member": mark("Belongs to another fleet"),
    "contradiction": mark("Values that contradict each other"),
    "too_long": mark("Too long"),
    "ragged": mark("Too many or too few columns"),
    "malformed_quotes": mark("Quotes in the wrong place"),
    "unclosed_quote": mark("A quote that does not end"),
    "no_json": mark("Not JSON"),
    "no_object": mark("Not an object"),
    "repeated_key": mark("A key twice"),
    "duplicate_row": mark("The same row again"),
    "repeated_reading": mark("The same reading again"),
    "contradicting_reading": mark("Another reading of the unit at the same time"),
    "repeated_event": mark("The same event again"),
    "contradicting_event": mark("Another event of the unit at the same time"),
}
_FILES = {
    "too_many_bad_rows": mark("Too many bad rows"),
    "unit_suspected": mark("Probably measured in another unit"),
    "ambiguous_numbers": mark("Numbers that can be read in two ways"),
    "no_rows": mark("No rows"),
    "no_members": mark("No row is of this fleet"),
    "missing_columns": mark("Columns are missing"),
    "duplicated_columns": mark("A column twice"),
    "too_many_columns": mark("Too many columns"),
    "name_too_long": mark("The name of a column is too long"),
    "nul_in_name": mark("A NUL character in the name of a column"),
    "column_type": mark("A column of the wrong type"),
    "unknown_format": mark("Unknown kind of file"),
    "missing_sheet": mark("The sheet is missing"),
    "too_large": mark("Too large"),
    "corrupt": mark("Broken or cut off"),
    "malformed": mark("Cannot be read"),
    "encoding": mark("Unknown encoding"),
    "empty": mark("Empty"),
    "reader_ended": mark("Could not be read to its end"),
}
_KNOWN = _ROWS | _FILES


def is_known(reason: str) -> bool:
    """Tell whether a code has a title."""
    return reason in _KNOWN


def title_of(reason: str) -> str:
    """Return what a code is called, in English; the code itself where it is not known."""
    return _KNOWN.get(reason, reason.replace("_", " "))
