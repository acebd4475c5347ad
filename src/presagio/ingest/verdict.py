"""What is said of a file as a whole, from what was found in its rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from presagio.errors import UnreadableFileError
from presagio.machine.columns import ColumnMatch
from presagio.machine.spec import MachineSpec
from presagio.machine.units import find_unit
from presagio.readings.rows import CheckedRows
from presagio.readings.rules import Reason

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


def _suspected_unit(tally: Tally, spec: MachineSpec, match: ColumnMatch) -> str | None:
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
            return (
                f"{feature.name} was read in {symbol}, but most values are outside "
                f"{low:g} to {high:g} {feature.unit} and would be inside it in "
                f"{' or '.join(likely)}; name the unit in the header, such as "
                f"'{feature.title or feature.name} [{likely[0]}]', and send the file again"
            )
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
            "the file names its columns and has no row; if nothing was to be exported, nothing is "
            "missing, else look at the export, and how its lines end",
        )
    if tally.rejected == 0:
        return None
    if (suspicion := _suspected_unit(tally, spec, match)) is not None:
        return UnreadableFileError("unit_suspected", suspicion)
    # Rows for another fleet are no mistake of the export's.
    rows, bad = tally.rows - tally.others, tally.rejected - tally.others
    if rows == 0:
        return UnreadableFileError(
            "no_members", f"no row is of this fleet; first: {tally.examples[0]}"
        )
    if bad <= max_bad_share * rows:
        return None
    reasons = Counter(tally.reasons)
    del reasons[Reason.OTHER_MEMBER]
    kinds = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    return UnreadableFileError(
        "too_many_bad_rows",
        f"{bad:,} of {rows:,} rows are bad ({kinds}), more than {max_bad_share:.0%}: something is "
        f"wrong with the export; first: {tally.examples[0]}",
    )
