"""What is said of a file as a whole, from what was found in its rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from presagio.errors import UnreadableFileError
from presagio.machine.columns import ColumnMatch
from presagio.machine.spec import MachineSpec
from presagio.machine.units import find_unit
from presagio.readings.fault_words import fault_sentence
from presagio.readings.rows import CheckedRows
from presagio.readings.rules import Reason
from presagio.sentences import Code, Count, Listed, Number, Sentence, Share, Value, either

_EXAMPLES = 20
_SUSPECTED_SHARE = 0.5
# Reasons for which a file that was meant for training keeps the next training from starting.
BLOCKING = ("too_many_bad_rows", "unit_suspected", "ambiguous_numbers")


@dataclass
class Tally:
    """Counts over all rows of a file, chunk by chunk.

    Attributes
    ----------
    reasons
        How often each kind of fault was found; a row may have several.
    examples
        What was said of the first rejected rows.
    first
        Line and faults of the first of them.
    missing
        In how many of the rows that were taken a feature is missing that may be.
    """

    rows: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    suspects: Counter[str] = field(default_factory=Counter)
    other_marks: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    first: tuple[int, list[dict[str, Any]]] | None = None

    @property
    def others(self) -> int:
        """How many rows are of kinds that belong to another fleet."""
        return self.reasons[Reason.OTHER_MEMBER]

    def add(self, checked: CheckedRows, optional: Sequence[str] = ()) -> None:
        """Count the rows of a chunk, and which of them lack a feature that may be missing."""
        gaps = checked.accepted.select(optional).null_count().row(0, named=True) if optional else {}
        self.missing.update({name: count for name, count in gaps.items() if count})
        self.rows += len(checked.accepted) + len(checked.rejected)
        self.rejected += len(checked.rejected)
        self.suspects.update(checked.suspects)
        self.other_marks += checked.other_marks
        if checked.rejected.is_empty():
            return
        reasons = checked.rejected["faults"].explode().struct.field("reason").value_counts()
        self.reasons.update(dict(reasons.iter_rows()))
        for row in checked.rejected.head(_EXAMPLES - len(self.examples)).iter_rows(named=True):
            words = "; ".join(fault["message"] for fault in row["faults"])
            self.examples.append(f"line {row['line']}: {words}")
            self.first = self.first or (row["line"], row["faults"])


def _first(tally: Tally, spec: MachineSpec) -> Value:
    """Return what is wrong with the first rejected row."""
    if tally.first is None:
        return ""
    line, faults = tally.first
    sentences = (
        fault_sentence(spec, f["column"] or "", f["reason"], f["message"]) or f["message"]
        for f in faults
    )
    values: dict[str, Value] = {"line": Number(line, 0), "faults": Listed(tuple(sentences), "; ")}
    return Sentence("line %(line)s: %(faults)s", values)


def _suspected_unit(tally: Tally, spec: MachineSpec, match: ColumnMatch) -> Sentence | None:
    """Say which column seems to be in another unit than its header says, if one does."""
    for feature in spec.features:
        likely = [
            unit
            for name, count in tally.suspects.items()
            for owner, unit in [name.split("/", 1)]
            if owner == feature.name and count > _SUSPECTED_SHARE * tally.rows
        ]
        if likely:
            taken = match.units.get(feature.name) or find_unit(feature.unit)
            symbol = taken.symbol if taken else feature.unit
            low, high = feature.bounds
            return Sentence(
                "%(feature)s was read in %(unit)s, but most values are outside %(low)s to %(high)s "
                "%(wanted)s and would be inside it in %(likely)s; name the unit in the header, "
                "such as '%(header)s', and send the file again",
                {
                    "feature": feature.name, "unit": symbol, "low": Number(low),
                    "high": Number(high), "wanted": feature.unit, "likely": either(likely),
                    "header": f"{feature.title or feature.name} [{likely[0]}]",
                },
            )  # fmt: skip
    return None


def file_fault(
    tally: Tally, spec: MachineSpec, match: ColumnMatch, max_bad_share: float
) -> UnreadableFileError | None:
    """Say why a file cannot be taken although most of it could be read, if that is so.

    Returns
    -------
    UnreadableFileError or None
        ``no_rows``, ``no_members``, ``unit_suspected`` or ``too_many_bad_rows``.
    """
    if tally.rows == 0:
        return UnreadableFileError(
            "no_rows",
            Sentence(
                "the file names its columns and has no row; if nothing was to be exported, nothing "
                "is missing, else look at the export, and how its lines end"
            ),
        )
    if tally.rejected == 0:
        return None
    if (suspicion := _suspected_unit(tally, spec, match)) is not None:
        return UnreadableFileError("unit_suspected", suspicion)
    # Rows for another fleet are no mistake of the export's.
    rows, bad = tally.rows - tally.others, tally.rejected - tally.others
    if rows == 0:
        none = Sentence("no row is of this fleet; first: %(first)s", {"first": _first(tally, spec)})
        return UnreadableFileError("no_members", none)
    if bad <= max_bad_share * rows:
        return None
    reasons = Counter(tally.reasons)
    del reasons[Reason.OTHER_MEMBER]
    kinds = tuple(
        Sentence("%(reason)s %(count)s", {"reason": Code(reason), "count": Count(count)})
        for reason, count in reasons.most_common()
    )
    return UnreadableFileError(
        "too_many_bad_rows",
        Sentence(
            "%(bad)s of %(rows)s rows are bad (%(kinds)s), more than %(share)s: something is wrong "
            "with the export; first: %(first)s",
            {
                "bad": Count(bad), "rows": Count(rows), "kinds": Listed(kinds),
                "share": Share(max_bad_share), "first": _first(tally, spec),
            },
        ),
    )  # fmt: skip
