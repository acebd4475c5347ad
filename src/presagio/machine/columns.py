"""From the header of a file to the spec's own column names."""

from collections.abc import Sequence
from dataclasses import dataclass

from presagio.machine.spec import Column, MachineSpec


@dataclass(frozen=True)
class ColumnMatch:
    """How the columns of a file relate to a machine spec.

    Attributes
    ----------
    names
        Position of a column in the file → the spec's name for it.
    missing
        What the spec needs and the file lacks, as the spec names it.
    duplicated
        Spec names that more than one column of the file claims.
    unknown
        Columns of the file that the spec does not know.
    """

    names: dict[int, str]
    missing: tuple[str, ...]
    duplicated: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def found(self) -> frozenset[str]:
        """Spec names that the file has."""
        return frozenset(self.names.values())


def _fold(header: str) -> str:
    return " ".join(header.split()).casefold()


def _accepted_names(spec: MachineSpec) -> dict[str, str]:
    columns: tuple[Column, ...] = (
        *spec.features, *spec.categories, *spec.identifiers, spec.target, *spec.modes,
    )  # fmt: skip
    accepted = {_fold(alias): column.name for column in columns for alias in column.columns}
    accepted |= {_fold(column.name): column.name for column in columns}
    return accepted | {_fold(indicator): indicator for indicator in spec.indicator_names}


def match_columns(header: Sequence[str], spec: MachineSpec) -> ColumnMatch:
    """Match a header with a spec, by name and never by position.

    Case and spaces do not matter. A category may come as one column of values (``Type``) or as
    its indicator columns (``type_l``, ``type_m``); when both are there, that is a duplicate.

    Parameters
    ----------
    header
        The column names as the file has them.
    spec
        The machine spec.

    Returns
    -------
    ColumnMatch
        What was found, and what is missing, duplicated or unknown.
    """
    accepted = _accepted_names(spec)
    names = {i: accepted[_fold(raw)] for i, raw in enumerate(header) if _fold(raw) in accepted}
    found = list(names.values())
    missing = [name for name in spec.feature_names if name not in found]
    duplicated = {name for name in found if found.count(name) > 1}
    for category in spec.categories:
        lacking = [name for name in category.indicators.values() if name not in found]
        if category.name in found and len(lacking) < len(category.indicators):
            duplicated.add(category.name)
        elif category.name not in found and len(lacking) == len(category.indicators):
            missing.append(category.name)
        elif category.name not in found:
            missing += lacking
    unknown = [raw for i, raw in enumerate(header) if i not in names]
    return ColumnMatch(names, tuple(missing), tuple(sorted(duplicated)), tuple(unknown))
