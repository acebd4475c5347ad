"""From the header of a file to the spec's own column names."""

import difflib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from presagio.machine.headers import HeaderLimits, check_header
from presagio.machine.inputs import Column, Feature
from presagio.machine.spec import MachineSpec
from presagio.machine.units import Unit, find_unit, split_header

# A hint for people: comparing a name with every name of a hostile header takes minutes.
_COMPARED_NAMES = 200
_COMPARED_CHARACTERS = 80


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
    absent
        Features that the file lacks and that may be missing: they are, in each row.
    extras
        Position of a column that the spec does not know → a name for it that no other has.
    units
        Features that come in another unit than the spec's, and in which.
    misfits
        Columns that are a feature by name, in a unit that cannot be converted → the feature.
    """

    names: dict[int, str]
    missing: tuple[str, ...]
    duplicated: tuple[str, ...]
    extras: dict[int, str] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    misfits: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @property
    def found(self) -> frozenset[str]:
        """Spec names that the file has."""
        return frozenset(self.names.values())


def fold(header: str) -> str:
    """Return what headers that differ by case and white space only have in common."""
    return " ".join(header.split()).casefold()


def _base(header: str) -> str:
    """Return a header's name without its unit, however it is spelled."""
    return fold(split_header(header)[0].replace("_", " "))


def _columns(spec: MachineSpec) -> tuple[Column, ...]:
    return (*spec.features, *spec.categories, *spec.kept_columns, spec.target, *spec.modes)


def _accepted_names(spec: MachineSpec) -> dict[str, str]:
    columns = _columns(spec)
    accepted = {fold(alias): column.name for column in columns for alias in column.columns}
    accepted |= {fold(column.name): column.name for column in columns}
    return accepted | {fold(indicator): indicator for indicator in spec.indicator_names}


def _features_by_base(spec: MachineSpec) -> dict[str, Feature]:
    return {
        _base(spelling): feature
        for feature in spec.features
        for spelling in (feature.name, feature.title, *feature.columns)
        if spelling
    }


class _Header:
    """Goes through a header, column by column."""

    def __init__(self, spec: MachineSpec) -> None:
        self._accepted = _accepted_names(spec)
        self._bases = _features_by_base(spec)
        self.units: dict[str, Unit] = {}
        self.misfits: dict[str, str] = {}

    def name(self, header: str) -> str | None:
        """Return the spec's name for a column, and remember its unit when it is another."""
        if (known := self._accepted.get(fold(header))) is not None:
            return known
        feature = self._bases.get(_base(header))
        if feature is None:
            return None
        named = split_header(header)[1]
        if named is None or named == feature.unit:
            return feature.name
        unit, wanted = find_unit(named), find_unit(feature.unit)
        if unit is None or wanted is None or unit.dimension != wanted.dimension:
            self.misfits[header] = feature.name
            return None
        if unit != wanted:
            self.units[feature.name] = unit
        return feature.name


def _extras(header: Sequence[str], names: dict[int, str]) -> dict[int, str]:
    extras: dict[int, str] = {}
    taken: set[str] = set()
    for i, raw in enumerate(header):
        if i not in names:
            name = raw.strip() or f"column {i + 1}"
            # Another column may have such a name itself.
            while name in taken:
                name = f"{name} ({i + 1})"
            taken.add(name)
            extras[i] = name
    return extras


def _missing(found: Collection[str], spec: MachineSpec) -> tuple[list[str], set[str]]:
    """Return what a header lacks, and the categories that it has in both styles."""
    optional = {*spec.optional_names}
    needed = (*spec.needed_columns, *spec.feature_names)
    missing = [name for name in needed if name not in found and name not in optional]
    doubled: set[str] = set()
    for category in spec.categories:
        lacking = [name for name in category.indicators.values() if name not in found]
        if category.name in found and len(lacking) < len(category.indicators):
            doubled.add(category.name)
        elif category.name not in found and len(lacking) == len(category.indicators):
            missing.append(category.name)
        elif category.name not in found:
            missing += lacking
    return missing, doubled


def match_columns(
    header: Sequence[str], spec: MachineSpec, limits: HeaderLimits | None = None
) -> ColumnMatch:
    """Match a header with a spec, by name and never by position.

    Case and spaces do not matter. A feature's column may name another unit than the spec's, or
    none. A category may come as one column of values (``Type``) or as its indicator columns
    (``type_l``, ``type_m``); when both are there, that is a duplicate.

    Parameters
    ----------
    header
        The column names as the file has them.
    spec
        The machine spec.
    limits
        What the header may be; the defaults when not given.

    Returns
    -------
    ColumnMatch
        What was found, and what is missing, duplicated or unknown.

    Raises
    ------
    HeaderLimitError
        See :func:`check_header`.
    """
    check_header(header, limits or HeaderLimits())
    columns = _Header(spec)
    named = {i: columns.name(raw) for i, raw in enumerate(header)}
    names = {i: name for i, name in named.items() if name is not None}
    found = Counter(names.values())
    missing, doubled = _missing(found, spec)
    duplicated = doubled | {name for name, count in found.items() if count > 1}
    return ColumnMatch(
        names, tuple(missing), tuple(sorted(duplicated)), _extras(header, names),
        columns.units, columns.misfits,
        tuple(name for name in spec.optional_readings if name not in found),
    )  # fmt: skip


def accepted_spellings(name: str, spec: MachineSpec) -> tuple[str, ...]:
    """Return the headers that the spec itself lists for one of its columns."""
    listed = {column.name: column.columns for column in _columns(spec)}
    return (name, *listed.get(name, ()))


def nearest_header(name: str, spec: MachineSpec, headers: Sequence[str]) -> str | None:
    """Return the header of a file that comes nearest to a column that is missing, if any does."""
    compared = [name for name in headers if len(name) <= _COMPARED_CHARACTERS][:_COMPARED_NAMES]
    folded = {fold(header): header for header in compared}
    for spelling in accepted_spellings(name, spec):
        if near := difflib.get_close_matches(fold(spelling), folded, n=1):
            return folded[near[0]]
    return None
