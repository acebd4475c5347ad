"""What a machine spec has, and what its columns are called: in files, and for a model."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from presagio.machine.costs import Costs
from presagio.machine.failure_rules import FailureRule, Quantity
from presagio.machine.inputs import Category, Column, Feature, Label, MissingPolicy
from presagio.machine.learning import (
    AGE,
    MICROSECONDS,
    SECONDS,
    AlarmRule,
    Division,
    Events,
    LabelRule,
    RemainingLifeRule,
    WindowColumn,
    WindowLength,
    Windows,
    span,
)
from presagio.machine.recipe import SimulationRecipe
from presagio.machine.series import MembersColumn, TimeColumn, UnitColumn
from presagio.machine.spec_table import Name, SpecTable
from presagio.machine.titles import Title


class SpecColumns(SpecTable):
    """The tables of a machine spec, with the names of all columns that follow from them."""

    name: Name
    title: Title
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
    remaining_life: RemainingLifeRule | None = None
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
        return {
            feature.name: "median" if feature.from_events else feature.missing or self.missing
            for feature in self.features
        }

    @cached_property
    def event_features(self) -> tuple[Feature, ...]:
        """Features that come from the log of events, in order."""
        return tuple(feature for feature in self.features if feature.from_events is not None)

    @cached_property
    def counted_names(self) -> tuple[str, ...]:
        """Names of those that count events: windows add them up, and a missing one is 0."""
        return tuple(feature.name for feature in self.features if feature.counts_events)

    @cached_property
    def optional_names(self) -> tuple[str, ...]:
        """Names of the features that may be missing, in order."""
        return tuple(name for name, policy in self.missing_policies.items() if policy != "refuse")

    @cached_property
    def optional_readings(self) -> tuple[str, ...]:
        """Names of those that a file is expected to have: not those that come from events."""
        of_events = {feature.name for feature in self.event_features}
        return tuple(name for name in self.optional_names if name not in of_events)

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

    def span_of(self, feature: Feature) -> float:
        """Return how long the unit of a time since an event is, as times are compared."""
        counts = feature.counts_events or self.time is None or self.time.is_counter
        return 1.0 if counts else SECONDS[feature.unit] * MICROSECONDS

    @property
    def day(self) -> float:
        """What spans are told in, in the unit of times: 1 of a count, a day of timestamps."""
        return 1.0 if self.time is None or self.time.is_counter else 86_400 * MICROSECONDS

    @property
    def day_name(self) -> str:
        """What that unit is called: as the time that counts, or days."""
        return "days" if self.time is None or not self.time.is_counter else self.time.name

    @property
    def is_series(self) -> bool:
        """Whether each reading is of a unit and of a time, so that there is one of both."""
        return self.unit is not None and self.time is not None

    @property
    def needs_target(self) -> bool:
        """Whether rows need the target: not where failures are known otherwise."""
        return self.events.source == "target"

    @property
    def has_history(self) -> bool:
        """Whether what a model takes of a reading hangs on the unit's readings before it."""
        return bool(self.carried_names or self.windows)

    @cached_property
    def windowed_names(self) -> tuple[str, ...]:
        """Names of the features that windows are of, in order."""
        if self.windows is None:
            return ()
        others = {*self.windows.by_condition, *(feature.name for feature in self.event_features)}
        return self.windows.of or tuple(n for n in self.feature_names if n not in others)

    @cached_property
    def window_lengths(self) -> tuple[WindowLength, ...]:
        """How far windows reach back; none without windows.

        Raises
        ------
        SpecFaultError
            If a duration is of too few or too many steps.
        """
        if self.windows is None:
            return ()
        step = None if self.time is None or self.time.step is None else span(self.time.step)
        return self.windows.lengths(step)

    @property
    def longest_window(self) -> int:
        """How many readings a whole window has, at most."""
        return max((length.rows for length in self.window_lengths), default=1)

    @cached_property
    def window_columns(self) -> tuple[WindowColumn, ...]:
        """What windows make of them, in order."""
        if self.windows is None:
            return ()
        return self.windows.columns(self.window_lengths, self.windowed_names, self.counted_names)

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
    def labels(self) -> tuple[Label, ...]:
        """The target, then the failure modes."""
        return (self.target, *self.modes)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of the target and of the failure modes, which are never features."""
        return tuple(label.name for label in self.labels)
