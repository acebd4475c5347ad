"""Row by row: what is taken, and every fault of what is not."""

from dataclasses import dataclass

import polars as pl

from presagio.ingest.decoding import Records
from presagio.machine.spec import Category, Feature, MachineSpec

# Stricter than float(): no nan, no inf, no 1_000, ASCII digits only.
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_TRUE = ("true", "1", "1.0", "yes")
_FALSE = ("false", "0", "0.0", "no")


@dataclass(frozen=True)
class Rejected:
    """A row that was not taken: its last line in the file, its cells, and all its faults."""

    line: int
    cells: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """The outcome of checking a file.

    Attributes
    ----------
    accepted
        Clean rows: identifiers as text, features as floats, indicators and labels as booleans,
        in the order of the spec, as far as the file has them.
    rejected
        The other rows.
    """

    accepted: pl.DataFrame
    rejected: tuple[Rejected, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """How often each kind of fault (the part before the colon) was found."""
        kinds = [fault.partition(":")[0] for row in self.rejected for fault in row.faults]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _fault(condition: pl.Expr, kind: str, column: str, detail: str = "") -> pl.Expr:
    return pl.when(condition).then(pl.lit(f"{kind}: {column}{detail}"))


def _number_faults(feature: Feature) -> list[pl.Expr]:
    raw, value = pl.col(feature.name), pl.col(feature.name).cast(pl.Float64, strict=False)
    low, high = feature.range
    numeric = raw.str.contains(_NUMBER)
    allowed = f" outside {low:g} to {high:g} {feature.unit}"
    return [
        _fault(raw == "", "missing", feature.name),
        _fault((raw != "") & ~numeric, "not_a_number", feature.name),
        _fault(
            numeric & ~value.is_between(low, high).fill_null(value=False),
            "out_of_range",
            feature.name,
            allowed,
        ),
    ]


def _flag_faults(name: str) -> list[pl.Expr]:
    raw = pl.col(name)
    known = raw.str.to_lowercase().is_in([*_TRUE, *_FALSE])
    return [
        _fault(raw == "", "missing", name),
        _fault((raw != "") & ~known, "not_a_boolean", name),
    ]


def _is_true(name: str) -> pl.Expr:
    return pl.col(name).str.to_lowercase().is_in(_TRUE)


def _category_faults(category: Category, columns: list[str]) -> list[pl.Expr]:
    if category.name in columns:
        raw = pl.col(category.name)
        known = raw.str.to_uppercase().is_in([value.upper() for value in category.values])
        return [
            _fault(raw == "", "missing", category.name),
            _fault((raw != "") & ~known, "unknown_category", category.name),
        ]
    names = list(category.indicators.values())
    several = pl.sum_horizontal([_is_true(name).cast(pl.Int8) for name in names]) > 1
    both = _fault(several, "contradiction", category.name, f" ({' and '.join(names)} are true)")
    return [fault for name in names for fault in _flag_faults(name)] + [both]


def _faults(spec: MachineSpec, columns: list[str]) -> pl.Expr:
    faults = [fault for feature in spec.features for fault in _number_faults(feature)]
    for category in spec.categories:
        faults += _category_faults(category, columns)
    for label in spec.label_names:
        faults += _flag_faults(label) if label in columns else []
    return pl.concat_list(faults).list.drop_nulls()


def _typed(spec: MachineSpec, columns: list[str]) -> list[pl.Expr]:
    kept = [pl.col(column.name) for column in spec.identifiers if column.name in columns]
    kept += [pl.col(feature.name).cast(pl.Float64) for feature in spec.features]
    for category in spec.categories:
        for value, indicator in category.indicators.items():
            named = pl.col(category.name).str.to_uppercase() == value.upper()
            kept.append(
                (named if category.name in columns else _is_true(indicator)).alias(indicator)
            )
    return kept + [_is_true(label) for label in spec.label_names if label in columns]


def _cells(records: Records) -> pl.DataFrame:
    # Ragged rows are padded here and rejected by their length, so every row meets every check.
    wanted = dict(sorted(records.match.names.items()))
    data = {
        name: [cells[i].strip() if i < len(cells) else "" for _, cells in records.rows]
        for i, name in wanted.items()
    }
    return pl.DataFrame(data, schema=dict.fromkeys(data, pl.String))


def check_rows(records: Records, spec: MachineSpec) -> Checked:
    """Check every row against the machine spec.

    Parameters
    ----------
    records
        The cells of a file.
    spec
        The machine spec.

    Returns
    -------
    Checked
        Accepted and rejected rows; together they are all rows of the file, each once.
    """
    cells = _cells(records)
    faults: list[list[str]] = cells.select(_faults(spec, cells.columns)).to_series().to_list()
    width = len(records.header)
    for found, (_, row) in zip(faults, records.rows, strict=True):
        if len(row) != width:
            # Which cell is missing cannot be known, so no other fault can be told either.
            found[:] = [f"ragged: {len(row)} cells where the header has {width}"]
    clean = pl.Series([not found for found in faults], dtype=pl.Boolean)
    rejected = tuple(
        Rejected(line, row, tuple(found))
        for found, (line, row) in zip(faults, records.rows, strict=True)
        if found
    )
    return Checked(cells.filter(clean).select(_typed(spec, cells.columns)), rejected)
