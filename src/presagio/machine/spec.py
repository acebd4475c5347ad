"""The machine spec: one TOML file that says what a machine's readings are."""

import tomllib
from collections import Counter
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from presagio.errors import InvalidSpecError
from presagio.machine.spec_faults import describe_faults

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Named(_Frozen):
    name: Name
    title: str = ""


class Column(_Named):
    """A column of a file, by the spec's name and the other ``columns`` names that are accepted.

    By itself it is kept and never a feature: an identifier, the target, a failure mode.
    """

    columns: tuple[str, ...] = ()


class Feature(Column):
    """A numeric reading: its unit, and what a working sensor can say.

    Attributes
    ----------
    per_minute
        How much it grows in each minute of work; None for what does not wear.
    adjustable
        Whether it can be changed on the machine; the weather cannot.
    """

    unit: str
    range: tuple[float, float]
    example: float
    per_minute: Annotated[float, Field(gt=0)] | None = None
    adjustable: bool = True

    @property
    def allowed(self) -> str:
        """What values are allowed, in words."""
        low, high = self.range
        return f"{low:g} to {high:g} {self.unit}"

    @model_validator(mode="after")
    def _range_holds_example(self) -> Self:
        low, high = self.range
        if not low <= self.example <= high:
            raise ValueError(f"feature {self.name}: example {self.example} is outside {self.range}")
        return self


class Category(Column):
    """A reading with named values; ``indicators`` maps a value to its boolean feature.

    At most one value has no indicator: it is the case where all the others are false.
    """

    values: tuple[str, ...]
    indicators: dict[str, Name]
    example: str

    @model_validator(mode="after")
    def _values_are_told_apart(self) -> Self:
        unknown = [value for value in (*self.indicators, self.example) if value not in self.values]
        if unknown:
            raise ValueError(f"category {self.name}: {unknown} not among values {self.values}")
        if len(self.values) - len(self.indicators) > 1:
            raise ValueError(f"category {self.name}: only one value may lack an indicator")
        return self

    @property
    def contradiction(self) -> str:
        """What is said of a reading that has two values; at every door, in these words."""
        names = " and ".join(self.indicators.values())
        return f"{names} are both true; expected one of them at most"

    @property
    def remainder(self) -> str | None:
        """The value that holds where no indicator is set, if there is one."""
        rest = [value for value in self.values if value not in self.indicators]
        return rest[0] if rest else None


class Quantity(_Named):
    """A quantity derived from two features, in ``unit``; ``factor`` scales the result."""

    unit: str
    kind: Literal["difference", "product"]
    of: tuple[Name, Name]
    factor: float = 1.0


class Bound(_Frozen):
    """A quantity or feature beyond a limit; ``by`` names the category that the limit depends on."""

    of: Name
    below: float | dict[str, float] | None = None
    above: float | dict[str, float] | None = None
    by: Name | None = None

    @property
    def limit(self) -> float | dict[str, float]:
        """The one limit that is set, in the unit of ``of``."""
        limit = self.above if self.below is None else self.below
        if limit is None:
            raise InvalidSpecError(f"the bound of {self.of} has neither below nor above")
        return limit

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise ValueError(f"the bound of {self.of} must set either below or above")
        if isinstance(self.limit, dict) != (self.by is not None):
            raise ValueError(f"the bound of {self.of}: a table of limits and `by` go together")
        return self


class Rule(_Frozen):
    """A failure mode happens when all bounds of any of its rules hold.

    Unless it is ``certain``, it may happen then: the rule says where to look and decides nothing.
    """

    mode: Name
    bounds: tuple[Bound, ...]
    certain: bool = True


class Costs(_Frozen):
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


class Normal(_Frozen):
    """Mean and standard deviation, in the unit of what they describe."""

    mean: float
    sd: float


class SimulationRecipe(_Frozen):
    """Constants of the generator (see :mod:`presagio.machine.simulation`)."""

    block_rows: int
    air_temperature: Normal
    process_offset: Normal
    torque: Normal
    speed_log_polynomial: tuple[float, ...]
    speed_log_sd: float
    speed_torque_floor: float
    shares: dict[str, float]
    wear_step: dict[str, float]
    tool_life: tuple[float, float]
    tool_failure_share: float
    random_failure_rate: float


class Division(_Frozen):
    """How rows are divided into those to learn from and those to judge by.

    Attributes
    ----------
    by
        ``time``: the newest rows judge. ``unit``: no machine is on both sides.
    column
        The identifier that holds the time (as text that sorts) or the unit.
    """

    by: Literal["time", "unit"]
    column: Name


class MachineSpec(_Frozen):
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
    rules: tuple[Rule, ...] = ()
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
        others: tuple[_Named, ...] = (*self.identifiers, *self.categories, *self.quantities)
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
        if self.division and self.division.column not in {own.name for own in self.identifiers}:
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
