"""The machine spec: one TOML file that says what a machine's readings are."""

import hashlib
import tomllib
from collections import Counter
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from presagio.errors import InvalidSpecError
from presagio.machine.costs import Costs
from presagio.machine.failure_rules import FailureRule, Quantity
from presagio.machine.inputs import Category, Column, Feature, Label, MissingPolicy
from presagio.machine.learning import AlarmRule, Division, Events, LabelRule, WindowColumn, Windows
from presagio.machine.recipe import SimulationRecipe
from presagio.machine.series import MembersColumn, TimeColumn, UnitColumn
from presagio.machine.spec_faults import describe_faults
from presagio.machine.spec_table import Name, NamedTable, SpecTable

# The one that ships with Presagio, with data, a generator and a trained model.
DEFAULT_SPEC = "ai4i2020"
# The input that is a unit's age, where the machine spec wants it.
AGE = "age"


class MachineSpec(SpecTable):
    """A machine's readings: features, categories, labels, derived quantities, limits."""

    name: Name
    title: str
    # What becomes of a row that stands in one file twice: readings without a time may repeat.
    duplicates: Literal["keep", "reject"] = "keep"
    # Words that stand in a cell where a value is missing, besides an empty cell; in any case.
    missing_values: tuple[str, ...] = ()
    # What is done where a feature is missing, unless the feature itself says it.
    missing: MissingPolicy = "refuse"
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    categories: tuple[Category, ...] = ()
    unit: UnitColumn | None = None
    time: TimeColumn | None = None
    members: MembersColumn | None = None
    identifiers: tuple[Column, ...] = ()
    target: Label
    modes: tuple[Label, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    rules: tuple[FailureRule, ...] = ()
    costs: Costs = Costs(missed_failure=1.0, false_alarm=1.0)
    division: Division | None = None
    label: LabelRule = LabelRule()
    events: Events = Events()
    windows: Windows | None = None
    alarm: AlarmRule = AlarmRule()
    simulation: SimulationRecipe | None = None

    @cached_property
    def kept_columns(self) -> tuple[Column, ...]:
        """Columns that are kept beside the features: unit, time, members, other identifiers."""
        series = (self.unit, self.time, self.members)
        return (*(column for column in series if column is not None), *self.identifiers)

    @cached_property
    def needed_columns(self) -> tuple[str, ...]:
        """Names of those of them that a file has to have."""
        return tuple(column.name for column in self.kept_columns if column not in self.identifiers)

    @cached_property
    def divided_by(self) -> tuple[Literal["time", "unit"], str] | None:
        """By what rows are divided, and the column of it; None: by chance.

        Where the spec names units, rows of one are never on both sides unless it says otherwise.
        """
        division = self.division or (Division(by="unit") if self.unit is not None else None)
        if division is None:
            return None
        series = self.time if division.by == "time" else self.unit
        column = division.column or (None if series is None else series.name)
        return None if column is None else (division.by, column)

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
    def missing_policies(self) -> dict[str, MissingPolicy]:
        """What is done with each feature where it is missing, by its name."""
        return {feature.name: feature.missing or self.missing for feature in self.features}

    @cached_property
    def optional_names(self) -> tuple[str, ...]:
        """Names of the features that may be missing, in order."""
        return tuple(name for name, policy in self.missing_policies.items() if policy != "refuse")

    @cached_property
    def carried_names(self) -> tuple[str, ...]:
        """Names of those for which the unit's last known value stands in, in order."""
        return tuple(name for name, policy in self.missing_policies.items() if policy == "last")

    @cached_property
    def series_names(self) -> tuple[str, ...]:
        """The columns of unit and time where inputs or labels hang on other rows, else none."""
        needed = self.has_history or self.label.horizon
        if not needed or self.unit is None or self.time is None:
            return ()
        return (self.unit.name, self.time.name)

    @property
    def needs_target(self) -> bool:
        """Whether rows need the target: not where each unit's last one is its failure."""
        return self.events.source == "target"

    @property
    def has_history(self) -> bool:
        """Whether what a model takes of a reading hangs on the unit's readings before it."""
        return bool(self.carried_names or self.windows)

    @cached_property
    def windowed_names(self) -> tuple[str, ...]:
        """Names of the features that windows are of, in order."""
        return () if self.windows is None else self.windows.of or self.feature_names

    @cached_property
    def window_columns(self) -> tuple[WindowColumn, ...]:
        """What windows make of them, in order."""
        return () if self.windows is None else self.windows.columns(self.windowed_names)

    @cached_property
    def window_names(self) -> tuple[str, ...]:
        """Names of these columns, and of the age where that is a feature."""
        age = (AGE,) if self.windows is not None and self.windows.age else ()
        return (*(column.name for column in self.window_columns), *age)

    @cached_property
    def imputed_names(self) -> tuple[str, ...]:
        """Names of the inputs for which a median stands in where nothing is known."""
        return (*self.optional_names, *(name for name in self.window_names if name == AGE))

    @cached_property
    def missing_names(self) -> tuple[str, ...]:
        """Names of the flags that say which of those are missing, in their order."""
        return tuple(f.missing_name for f in self.features if f.name in self.optional_names)

    @cached_property
    def model_inputs(self) -> tuple[str, ...]:
        """Names of the columns of a model's input: inputs, ``missing_names``, ``window_names``."""
        return self.input_names + self.missing_names + self.window_names

    @property
    def derived(self) -> tuple[Quantity, ...]:
        """All that is derived from features: logarithms that they ask for, and quantities."""
        logs = [
            Quantity(name=f.log_name, title=f"log {f.title or f.name}", kind="log", of=(f.name,))
            for f in self.features
            if f.log
        ]
        return (*logs, *self.quantities)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the spec says, however its file is written."""
        content = self.model_dump_json(exclude_defaults=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The target, then the failure modes."""
        return (self.target, *self.modes)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of the target and of the failure modes, which are never features."""
        return tuple(label.name for label in self.labels)

    @cached_property
    def example(self) -> dict[str, float | bool]:
        """Return one reading with every input, from the examples in the spec."""
        values: dict[str, float | bool] = {f.name: f.typical for f in self.features}
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
        others: tuple[NamedTable, ...] = (*self.kept_columns, *self.categories, *self.derived)
        names += [*self.missing_names, *self.window_names, *(other.name for other in others)]
        doubled = sorted(name for name, number in Counter(names).items() if number > 1)
        if doubled:
            raise ValueError(f"names must be unique, these are not: {doubled}")
        known = {*self.feature_names, *(quantity.name for quantity in self.derived)}
        used = {name for quantity in self.quantities for name in quantity.of}
        used |= {bound.of for rule in self.rules for bound in rule.bounds}
        if used - known:
            raise ValueError(f"neither feature nor quantity: {sorted(used - known)}")
        kept = {column.name for column in self.kept_columns}
        modes = {rule.mode for rule in self.rules} - {mode.name for mode in self.modes}
        if modes:
            raise ValueError(f"rules for unknown failure modes: {sorted(modes)}")
        if self.division and (self.divided_by is None or self.divided_by[1] not in kept):
            by, column = self.division.by, self.division.column
            why = f"{column}, which is no identifier" if column else f"{by}, and there is no [{by}]"
            raise ValueError(f"rows are divided by {why}")
        self._series_have_units_and_times()
        self._limits_name_every_value()
        return self

    def _series_have_units_and_times(self) -> None:
        """Check what hangs on a unit's other readings."""
        wanted = {
            f"the last value of {', '.join(self.carried_names[:1])}": self.carried_names,
            "[windows]": self.windows,
            "a label with a horizon": self.label.horizon,
            "a failure at the last row": self.events.source == "last_row",
        }
        lacking = [what for what, needed in wanted.items() if needed]
        if lacking and (self.unit is None or self.time is None):
            raise ValueError(f"{lacking[0]} needs [unit] and [time]")
        if self.events.source == "last_row" and self.label.horizon is None:
            raise ValueError('a failure at the last row needs [label] kind = "horizon"')
        within, time = self.label.within, self.time
        if time and within is not None and time.is_counter == isinstance(within, str):
            kind = "a number" if time.is_counter else "a text such as '7d'"
            raise ValueError(f"within is {kind}, as the time is a {time.kind}")
        if self.label.horizon is not None and self.modes:
            raise ValueError("failure modes are learned by rows, and the label has a horizon")
        if self.windows is None:
            return
        if unknown := {*self.windows.of} - {*self.feature_names}:
            raise ValueError(f"windows are of features, and {min(unknown)} is none")
        if self.windows.age and self.time is not None and not self.time.is_counter:
            raise ValueError("age is a feature of a time that counts, and this is a timestamp")

    def _limits_name_every_value(self) -> None:
        for bound in (bound for rule in self.rules for bound in rule.bounds):
            if bound.by is None:
                continue
            if bound.by not in {category.name for category in self.categories}:
                raise ValueError(f"the bound of {bound.of} is by {bound.by}, which is no category")
            if set(self.category(bound.by).values) != set(dict(bound.limit)):  # type: ignore[arg-type]
                raise ValueError(f"the bound of {bound.of} must give a limit for each {bound.by}")


def load_spec(source: str | Path = DEFAULT_SPEC) -> MachineSpec:
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
            text = path.read_bytes()
        else:
            text = (files(__package__) / "specs" / f"{source}.toml").read_bytes()
    except OSError as err:
        raise InvalidSpecError(
            f"machine spec {source!s} cannot be read ({err.strerror or err}); give the name of a "
            "spec that ships with Presagio (ai4i2020) or the path of a .toml file"
        ) from err
    return parse_spec(text, str(source))


def parse_spec(text: bytes, source: str) -> MachineSpec:
    """Make a machine spec of the bytes of a TOML file.

    Parameters
    ----------
    text
        The file.
    source
        What it is called in messages.

    Raises
    ------
    InvalidSpecError
        If it is no TOML, or contradicts itself.
    """
    try:
        decoded = text.decode()
        return MachineSpec.model_validate(tomllib.loads(decoded))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as err:
        raise InvalidSpecError(f"machine spec {source} is no TOML: {err}") from err
    except ValidationError as err:
        faults = tuple(map(str, describe_faults(err, decoded)))
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise InvalidSpecError(f"machine spec {source} is not valid:{listed}", faults) from err
