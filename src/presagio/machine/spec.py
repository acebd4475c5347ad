"""The machine spec: one TOML file that says what a machine's readings are."""

import tomllib
from collections import Counter
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from presagio.errors import InvalidSpecError
from presagio.machine.failure_rules import FailureRule, Quantity
from presagio.machine.inputs import Category, Column, Feature
from presagio.machine.recipe import SimulationRecipe
from presagio.machine.spec_faults import describe_faults
from presagio.machine.spec_table import Name, NamedTable, SpecTable


class Costs(SpecTable):
    """What an answer costs, in one currency of the plant's own; what counts is how they compare.

    Attributes
    ----------
    missed_failure
        A failure without an alarm.
    false_alarm
        An alarm without a failure, beyond the inspection.
    inspection
        Every alarm.
    max_alarm_share
        The largest share of readings that can be inspected; None where there is no bound.
    """

    missed_failure: Annotated[float, Field(gt=0)]
    false_alarm: Annotated[float, Field(ge=0)]
    inspection: Annotated[float, Field(ge=0)] = 0.0
    max_alarm_share: Annotated[float, Field(gt=0, le=1)] | None = None


class Division(SpecTable):
    """How rows are divided into a training set and a held-out test set.

    Attributes
    ----------
    by
        ``time``: the newest rows are the test set. ``unit``: no machine is on both sides.
    column
        The identifier that holds the time (as text that sorts) or the unit.
    """

    by: Literal["time", "unit"]
    column: Name


class MachineSpec(SpecTable):
    """A machine's readings: features, categories, labels, derived quantities, limits."""

    name: Name
    title: str
    # What becomes of a row that stands in one file twice: readings without a time may repeat.
    duplicates: Literal["keep", "reject"] = "keep"
    features: tuple[Feature, ...]
    categories: tuple[Category, ...] = ()
    identifiers: tuple[Column, ...] = ()
    target: Column
    modes: tuple[Column, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    rules: tuple[FailureRule, ...] = ()
    costs: Costs = Costs(missed_failure=1.0, false_alarm=1.0)
    division: Division | None = None
    simulation: SimulationRecipe | None = None

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the numeric features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def indicator_names(self) -> tuple[str, ...]:
        """Names of the boolean features, in order."""
        return tuple(name for cat in self.categories for name in cat.indicators.values())

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of what a model takes, in order: numeric features, then indicators."""
        return self.feature_names + self.indicator_names

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of the target and of the failure modes, which are never features."""
        return (self.target.name, *(mode.name for mode in self.modes))

    @cached_property
    def example(self) -> dict[str, float | bool]:
        """Return one reading with every input, from the examples in the spec."""
        values: dict[str, float | bool] = {f.name: f.example for f in self.features}
        for category in self.categories:
            for value, indicator in category.indicators.items():
                values[indicator] = value == category.example
        return values

    def category(self, name: str) -> Category:
        """Return the category called ``name``."""
        return next(category for category in self.categories if category.name == name)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [*self.input_names, *self.label_names]
        others: tuple[NamedTable, ...] = (*self.identifiers, *self.categories, *self.quantities)
        names += [other.name for other in others]
        doubled = sorted(name for name, number in Counter(names).items() if number > 1)
        if doubled:
            raise ValueError(f"names must be unique, these are not: {doubled}")
        known = {*self.feature_names, *(quantity.name for quantity in self.quantities)}
        used = {name for quantity in self.quantities for name in quantity.of}
        used |= {bound.of for rule in self.rules for bound in rule.bounds}
        if used - known:
            raise ValueError(f"neither feature nor quantity: {sorted(used - known)}")
        modes = {rule.mode for rule in self.rules} - {mode.name for mode in self.modes}
        if modes:
            raise ValueError(f"rules for unknown failure modes: {sorted(modes)}")
        if self.division and self.division.column not in {
            column.name for column in self.identifiers
        }:
            raise ValueError(f"rows are divided by {self.division.column}, which no identifier is")
        self._limits_name_every_value()
        return self

    def _limits_name_every_value(self) -> None:
        for bound in (bound for rule in self.rules for bound in rule.bounds):
            if bound.by is None:
                continue
            if bound.by not in {category.name for category in self.categories}:
                raise ValueError(f"the bound of {bound.of} is by {bound.by}, which is no category")
            if set(self.category(bound.by).values) != set(dict(bound.limit)):  # type: ignore[arg-type]
                raise ValueError(f"the bound of {bound.of} must give a limit for each {bound.by}")


def load_spec(source: str | Path = "ai4i2020") -> MachineSpec:
    """Load a machine spec.

    Parameters
    ----------
    source
        The name of a spec that ships with Presagio, or the path of a TOML file.

    Returns
    -------
    MachineSpec
        The validated, immutable spec.

    Raises
    ------
    InvalidSpecError
        If the file is missing, is no TOML, or contradicts itself.
    """
    path = Path(source)
    try:
        if path.suffix == ".toml":
            text = path.read_text(encoding="utf-8")
        else:
            text = (files(__package__) / "specs" / f"{source}.toml").read_text(encoding="utf-8")
        return MachineSpec.model_validate(tomllib.loads(text))
    except OSError as err:
        raise InvalidSpecError(
            f"machine spec {source!s} cannot be read ({err.strerror or err}); give the name of a "
            "spec that ships with Presagio (ai4i2020) or the path of a .toml file"
        ) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise InvalidSpecError(f"machine spec {source!s} is no TOML: {err}") from err
    except ValidationError as err:
        faults = "".join(f"\n  {fault}" for fault in describe_faults(err))
        raise InvalidSpecError(f"machine spec {source!s} is not valid:{faults}") from err
