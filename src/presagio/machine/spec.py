"""The machine spec: one TOML file that says what a machine's readings are."""

import hashlib
import tomllib
from collections import Counter
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator

from presagio.errors import InvalidSpecError
from presagio.machine.inputs import Category
from presagio.machine.learning import LOG_COLUMNS, SECONDS
from presagio.machine.spec_columns import SpecColumns
from presagio.machine.spec_faults import describe_faults

# The one that ships with Presagio, with data, a generator and a trained model.
_MOST_INPUTS = 512
DEFAULT_SPEC = "ai4i2020"


class MachineSpec(SpecColumns):
    """A machine's readings: features, categories, labels, derived quantities, limits."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the spec says, however its file is written."""
        content = self.model_dump_json(exclude_defaults=True)
        return hashlib.sha256(content.encode()).hexdigest()

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
        others = [t.name for t in (*self.kept_columns, *self.categories, *self.derived)]
        names += [*self.missing_names, *self.window_names, *others]
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
            "a log of failures": self.events.source == "log",
            "what is from_events": self.event_features,
        }
        lacking = [what for what, needed in wanted.items() if needed]
        if lacking and (self.unit is None or self.time is None):
            raise ValueError(f"{lacking[0]} needs [unit] and [time]")
        if self.events.source == "last_row" and self.label.horizon is None:
            raise ValueError('a failure at the last row needs [label] kind = "horizon"')
        life, time = self.remaining_life, self.time
        spans = {"within": self.label.within, "most": None if life is None else life.most}
        for name, span in spans.items():
            if time and span is not None and time.is_counter == isinstance(span, str):
                kind = "a number" if time.is_counter else "a text such as '7d'"
                raise ValueError(f"{name} is {kind}, as the time is a {time.kind}")
        if life is not None and self.label.horizon is None:
            raise ValueError('remaining life needs [label] kind = "horizon"')
        if self.label.horizon is not None and self.modes:
            raise ValueError("failure modes are learned by rows, and the label has a horizon")
        self._windows_are_of_features()
        self._events_have_a_log()

    def _events_have_a_log(self) -> None:
        """Check that events can be told in a log: by unit and time, beside its own columns."""
        if self.events.source == "log" and self.label.horizon is None:
            raise ValueError('failures of a log need [label] kind = "horizon"')
        is_counter = self.time is not None and self.time.is_counter
        for feature in self.event_features:
            in_time = feature.from_events == "since_repair" and not is_counter
            if in_time and feature.unit not in SECONDS:
                raise ValueError(f"feature {feature.name}: its unit is one of {', '.join(SECONDS)}")
        if self.label.horizon is None and self.event_features:
            raise ValueError('what is from_events needs [label] kind = "horizon"')
        series = {column.name for column in (self.unit, self.time) if column is not None}
        if self.label.horizon is not None and (taken := series & LOG_COLUMNS):
            raise ValueError(f"{min(taken)} is a column of the log of events; take another name")

    def _windows_are_of_features(self) -> None:
        if self.windows is None:
            return
        named = {*self.windows.of, *self.windows.by_condition}
        if len(self.model_inputs) > _MOST_INPUTS:
            raise ValueError(
                f"windows make {len(self.model_inputs)} inputs of a reading, {_MOST_INPUTS} at "
                "most are taken: name the features that count (of), or fewer statistics"
            )
        if unknown := named - {*self.feature_names}:
            raise ValueError(f"windows are of features, and {min(unknown)} is none")
        if events := named & {feature.name for feature in self.event_features}:
            raise ValueError(f"windows count events by themselves: take {min(events)} out")
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
