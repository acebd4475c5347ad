"""A first machine spec from files of readings: proposals, and questions."""

import json
import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import polars as pl

from presagio.errors import DataError
from presagio.inference.measures import TOO_GOOD, separation
from presagio.jobs.draft_findings import TRUE_VALUES, DraftFindings, find_target, true_word
from presagio.jobs.spec_columns import (
    DraftColumn,
    Names,
    distinct,
    missing_words,
    propose_column,
    read_tables,
)
from presagio.machine.spec import parse_spec
from presagio.machine.units import split_header
from presagio.readings.rules import FALSE_WORDS

_IMPLIES = 0.8
# Between these a range can be made wider without an overflow.
_NARROW, _WIDE = 1e-300, 1e300
# What labels may be without words of their own.
_PLAIN = {*TRUE_VALUES, "0", "0.0", *FALSE_WORDS}


def draft_spec(files: Sequence[Path], *, name: str | None = None, target: str | None = None) -> str:
    """Write a first machine spec from files of readings.

    Parameters
    ----------
    files
        CSV (compressed too) or Parquet files of one kind of machine; of each the first 100,000
        rows are looked at.
    name
        What the machine is called; else what the first file is called.
    target
        The column that tells failures; else one is proposed.

    Returns
    -------
    str
        TOML with comments, which ``presagio spec check`` takes.

    Raises
    ------
    DataError
        If a file cannot be read, or no column can be the target.
    """
    frame = read_tables(files)
    columns = [propose_column(frame[header]) for header in distinct(frame.columns)]
    draft = DraftFindings(frame, columns, find_target(columns, target))
    names = Names(frame.columns)
    words = ", ".join(map(_text, missing_words(frame)))
    machine = Names([]).name(name or files[0].name.split(".")[0])
    lines = [
        f"# A first draft from {', '.join(path.name for path in files)}: {len(frame)} rows were",
        "# looked at. Read it, answer what is asked, then: presagio spec check FILE",
        f"name = {_text(machine)}",
        f"title = {_text(name or machine)}  # What do people call it?",
        *([f"missing_values = [{words}]"] if words else []),
        *_body(draft, names),
    ]
    text = "\n".join(lines) + "\n"
    parse_spec(text.encode(), "draft")
    return text


def _body(draft: DraftFindings, names: Names) -> Iterator[str]:
    time = draft.time(draft.unit)
    numeric = [column for column in draft.of_role("feature") if column is not time]
    modes = [column for column in draft.of_role("flag") if _is_mode(draft, column)]
    flags = [column for column in draft.of_role("flag") if column not in modes]
    # Two words are a category; 0 and 1 a number like others.
    numeric += [c for c in flags if set(c.values) <= {"0", "1", "0.0", "1.0"}]
    categories = [c for c in (*draft.of_role("category"), *flags) if c not in numeric]
    kept = [column for column in categories if not column.missing]
    if not numeric:
        raise DataError("no column is a number that a model could learn from")
    yield from _target(draft, names)
    for column in numeric:
        yield from _feature(draft, column, names)
    for column in kept:
        yield from _category(column, names)
    for column in modes:
        yield from ("", "# A failure mode? It is true nearly only where the target is.")
        yield from _label("[[modes]]", column, names)
    yield from _series(draft, names)
    yield from (
        "",
        "# What does a failure without an alarm cost, beside an alarm without a failure?",
    )
    yield from ("[costs]", "missed_failure = 1.0", "false_alarm = 1.0", "")
    for column in (*draft.of_role("nothing"), *(c for c in categories if c.missing)):
        why = "; ".join(column.notes) or "a category may not be missing, and this one is"
        yield f"# Left out: {_text(column.header)}: {why}."


def _target(draft: DraftFindings, names: Names) -> Iterator[str]:
    share = float(draft.is_true.sum()) / len(draft.frame)
    yield from ("", f"# Is this what a failure is? It is in {share:.2%} of the rows.")
    yield from _label("[target]", draft.target, names)


def _label(table: str, column: DraftColumn, names: Names) -> Iterator[str]:
    yield table
    yield from _named(column, names)
    true = true_word(column)
    false = next(value for value in column.values if value != true)
    if {true.lower(), false.lower()} - _PLAIN:
        yield f"true_words = [{_text(true.lower())}]  # the rarer of the two"
        yield f"false_words = [{_text(false.lower())}]"


def _is_mode(draft: DraftFindings, column: DraftColumn) -> bool:
    if column.missing or {value.lower() for value in column.values} - _PLAIN:
        return False
    true = draft.frame[column.header] == true_word(column)
    often = int(true.sum())
    return often > 0 and int((true & draft.is_true).sum()) >= _IMPLIES * often


def _feature(draft: DraftFindings, column: DraftColumn, names: Names) -> Iterator[str]:
    values, (low, high) = draft.numbers(column), column.seen
    yield ""
    known = values.is_not_null()
    compared = values.filter(known).to_numpy(), draft.is_true.filter(known).to_numpy()
    if separation(*compared) > TOO_GOOD:
        yield "# Warning: it nearly tells the target by itself; is it known before the failure?"
    if _tells_the_time(draft, values):
        yield "# Warning: it grows with the time; a model may learn the date from it."
    yield "[[features]]"
    yield from _named(column, names)
    if unit := split_header(column.header)[1]:
        yield f"unit = {_text(unit)}"
    if column.role == "flag":
        yield "range = [0.0, 1.0]  # Is it known before the failure? If not: [[modes]]"
    elif column.heavy_tail:
        yield f"log = true  # {low:g} to {high:g} were seen, the median is {column.median:g}"
    elif _NARROW < high - low < _WIDE:
        yield f"# {low:g} to {high:g} were seen: what is plausible?"
        yield f"range = [{_outward(low, high)}]"
    yield f"example = {min(max(column.median, low), high)!r}"
    if column.missing:
        yield f'missing = "median"  # in {column.missing:.1%} of the rows'


def _tells_the_time(draft: DraftFindings, values: pl.Series) -> bool:
    dates = draft.of_role("date")
    if not dates:
        return False
    both = pl.DataFrame({"t": draft.frame[dates[0].header].rank("dense"), "v": values})
    found = both.drop_nulls().select(pl.corr("t", "v", method="spearman")).item()
    return found is not None and abs(found) > TOO_GOOD


def _outward(low: float, high: float) -> str:
    """Return a range half as wide again on both sides; from 0 where nothing is below."""
    margin = (high - low) / 2
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    bottom = 0.0 if 0 <= low < margin else math.floor((low - margin) / step) * step
    top = math.ceil((high + margin) / step) * step
    return f"{float(f'{min(bottom, low):.6g}')!r}, {float(f'{max(top, high):.6g}')!r}"


def _category(column: DraftColumn, names: Names) -> Iterator[str]:
    folded: dict[str, str] = {}
    for value in column.values:
        folded.setdefault(value.upper(), value)
    common, *others = folded.values()
    yield from ("", "[[categories]]")
    name = yield from _named(column, names)
    yield f"values = [{', '.join(map(_text, folded.values()))}]"
    indicators = (f"{_text(v)} = {_text(names.name(v, beside=name))}" for v in others)
    yield f"indicators = {{{', '.join(indicators)}}}"
    yield f"example = {_text(common)}"


def _series(draft: DraftFindings, names: Names) -> Iterator[str]:
    """Propose unit and time, and keep what else says which machine it is, or when it was."""
    kept = draft.of_role("identifier", "date")
    unit = draft.unit
    time = draft.time(unit)
    if unit is not None:
        yield from ("", "# Is this the column that names a machine? Its rows stay together.")
        yield "[unit]"
        yield from _named(unit, names)
    if time is not None:
        yield from ("", "# Is this when a reading was taken?", "[time]")
        yield from _named(time, names)
        if time.role == "date" and not time.is_number:
            yield 'zone = "UTC"  # Of times that do not say theirs; "Europe/Madrid" is one.'
        else:
            yield 'kind = "counter"'
        if unit is None:
            yield from ("", "# The newest rows are the test set.", "[division]", 'by = "time"')
    for column in kept:
        if column is not unit and column is not time:
            yield from ("", "[[identifiers]]")
            yield from _named(column, names)


def _named(column: DraftColumn, names: Names) -> Generator[str, None, str]:
    name = names.name(column.header)
    yield f"name = {_text(name)}"
    if name != column.header:
        yield f"columns = [{_text(column.header)}]"
    return name


def _text(text: str) -> str:
    """Write text as TOML does: as JSON, but for one character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
