"""What the tables of a machine spec must agree on; each fault is a sentence."""

from collections import Counter
from typing import Self

from pydantic import model_validator

from presagio.machine.inputs import Category
from presagio.machine.learning import LOG_COLUMNS, SECONDS, span_kind
from presagio.machine.spec_columns import SpecColumns
from presagio.machine.spec_faults import SpecFaultError
from presagio.sentences import Number, Sentence, Value

_MOST_INPUTS = 512


class CheckedColumns(SpecColumns):
    """The tables of a machine spec, none of which contradicts another."""

    def category(self, name: str) -> Category:
        """Return the category called ``name``."""
        return next(category for category in self.categories if category.name == name)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        # Columns of windows follow from them.
        self._durations_are_of_the_time()
        names = [*self.input_names, *self.label_names]
        others = [t.name for t in (*self.kept_columns, *self.categories, *self.derived)]
        names += [*self.missing_names, *self.window_names, *others]
        doubled = sorted(name for name, number in Counter(names).items() if number > 1)
        if doubled:
            raise SpecFaultError(
                Sentence("names must be unique, these are not: %(names)s", {"names": str(doubled)})
            )
        known = {*self.feature_names, *(quantity.name for quantity in self.derived)}
        used = {name for quantity in self.quantities for name in quantity.of}
        used |= {bound.of for rule in self.rules for bound in rule.bounds}
        if unknown := sorted(used - known):
            raise SpecFaultError(
                Sentence("neither feature nor quantity: %(names)s", {"names": str(unknown)})
            )
        modes = {rule.mode for rule in self.rules} - {mode.name for mode in self.modes}
        if modes:
            raise SpecFaultError(
                Sentence(
                    "rules for unknown failure modes: %(names)s", {"names": str(sorted(modes))}
                )
            )
        self._rows_can_be_divided()
        self._series_have_units_and_times()
        self._limits_name_every_value()
        return self

    def _rows_can_be_divided(self) -> None:
        kept = {column.name for column in self.kept_columns}
        if not self.division or (self.divided_by is not None and self.divided_by[1] in kept):
            return
        by, column = self.division.by, self.division.column
        if column:
            raise SpecFaultError(
                Sentence(
                    "rows are divided by %(column)s, which is no identifier", {"column": column}
                )
            )
        raise SpecFaultError(
            Sentence("rows are divided by %(by)s, and there is no [%(by)s]", {"by": by})
        )

    def _series_have_units_and_times(self) -> None:
        """Check what hangs on a unit's other readings."""
        carried = {"feature": ", ".join(self.carried_names[:1])}
        wanted: tuple[tuple[Value, object], ...] = (
            (Sentence("the last value of %(feature)s", carried), self.carried_names),
            ("[windows]", self.windows),
            (Sentence("a label with a horizon"), self.label.horizon),
            (Sentence("a failure at the last row"), self.events.source == "last_row"),
            (Sentence("a log of failures"), self.events.source == "log"),
            (Sentence("what is from_events"), self.event_features),
        )
        lacking = [what for what, needed in wanted if needed]
        if lacking and not self.is_series:
            raise SpecFaultError(Sentence("%(what)s needs [unit] and [time]", {"what": lacking[0]}))
        if self.events.source == "last_row":
            self._needs_horizon(Sentence("a failure at the last row"))
        self._spans_are_of_the_time()
        if self.remaining_life is not None:
            self._needs_horizon(Sentence("remaining life"))
        if self.label.horizon is not None and self.modes:
            raise SpecFaultError(
                Sentence("failure modes are learned by rows, and the label has a horizon")
            )
        self._windows_are_of_features()
        self._events_have_a_log()

    def _needs_horizon(self, what: Sentence) -> None:
        if self.label.horizon is None:
            raise SpecFaultError(
                Sentence('%(what)s needs [label] kind = "horizon"', {"what": what})
            )

    def _durations_are_of_the_time(self) -> None:
        durations = () if self.windows is None else self.windows.durations
        for duration in durations:
            if self.time and self.time.is_counter == isinstance(duration, str):
                wanted = span_kind(is_counter=self.time.is_counter)
                raise SpecFaultError(
                    Sentence(
                        "durations: %(duration)s has to be %(wanted)s, as the time is",
                        {"duration": repr(duration), "wanted": wanted},
                    )
                )

    def _spans_are_of_the_time(self) -> None:
        life, time = self.remaining_life, self.time
        spans = {"within": self.label.within, "most": None if life is None else life.most}
        for name, span in spans.items():
            if time and span is not None and time.is_counter == isinstance(span, str):
                wanted = span_kind(is_counter=time.is_counter)
                raise SpecFaultError(
                    Sentence(
                        "%(name)s is %(wanted)s, as the time is a %(kind)s",
                        {"name": name, "wanted": wanted, "kind": time.kind},
                    )
                )

    def _events_have_a_log(self) -> None:
        """Check that events can be told in a log: by unit and time, beside its own columns."""
        if self.events.source == "log" and self.label.horizon is None:
            raise SpecFaultError(Sentence('failures of a log need [label] kind = "horizon"'))
        is_counter = self.time is not None and self.time.is_counter
        for feature in self.event_features:
            in_time = feature.from_events == "since_repair" and not is_counter
            if in_time and feature.unit not in SECONDS:
                raise SpecFaultError(
                    Sentence(
                        "feature %(name)s: its unit is one of %(units)s",
                        {"name": feature.name, "units": ", ".join(SECONDS)},
                    )
                )
        if self.event_features:
            self._needs_horizon(Sentence("what is from_events"))
        series = {column.name for column in (self.unit, self.time) if column is not None}
        if self.label.horizon is not None and (taken := series & LOG_COLUMNS):
            raise SpecFaultError(
                Sentence(
                    "%(column)s is a column of the log of events; take another name",
                    {"column": min(taken)},
                )
            )

    def _windows_are_of_features(self) -> None:
        if self.windows is None:
            return
        named = {*self.windows.of, *self.windows.by_condition}
        if len(self.model_inputs) > _MOST_INPUTS:
            raise SpecFaultError(
                Sentence(
                    "windows make %(inputs)s inputs of a reading, %(most)s at most are taken: name "
                    "the features that count (of), or fewer statistics",
                    {
                        "inputs": Number(len(self.model_inputs), 0),
                        "most": Number(_MOST_INPUTS, 0),
                    },
                )
            )
        if unknown := named - {*self.feature_names}:
            raise SpecFaultError(
                Sentence("windows are of features, and %(name)s is none", {"name": min(unknown)})
            )
        if events := named & {feature.name for feature in self.event_features}:
            raise SpecFaultError(
                Sentence(
                    "windows count events by themselves: take %(name)s out", {"name": min(events)}
                )
            )
        if self.windows.age and self.time is not None and not self.time.is_counter:
            raise SpecFaultError(
                Sentence("age is a feature of a time that counts, and this is a timestamp")
            )

    def _limits_name_every_value(self) -> None:
        for bound in (bound for rule in self.rules for bound in rule.bounds):
            if bound.by is None:
                continue
            if bound.by not in {category.name for category in self.categories}:
                raise SpecFaultError(
                    Sentence(
                        "the bound of %(of)s is by %(by)s, which is no category",
                        {"of": bound.of, "by": bound.by},
                    )
                )
            if set(self.category(bound.by).values) != set(dict(bound.limit)):  # type: ignore[arg-type]
                raise SpecFaultError(
                    Sentence(
                        "the bound of %(of)s must give a limit for each %(by)s",
                        {"of": bound.of, "by": bound.by},
                    )
                )
