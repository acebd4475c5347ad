"""What is learned from rows: division, label, events and windows of a machine spec."""

import math
import re
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from presagio.machine.spec_faults import SpecFaultError
from presagio.machine.spec_table import Name, SpecTable
from presagio.sentences import Number, Sentence

_DURATION = re.compile(r"^(\d+(?:\.\d+)?) ?(d|h|min|s)$")
# Units in which spans are written, in seconds.
SECONDS = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0}
# The input that is a unit's age, where the machine spec wants it.
AGE = "age"
# Columns of a log of events: the kind and the mode, and what is kept of the kind.
KIND, MODE = "kind", "mode"
IS_FAILURE, IS_REPAIR = "is_failure", "is_repair"
LOG_COLUMNS = frozenset({KIND, MODE, IS_FAILURE, IS_REPAIR})
# A second, as times are compared.
MICROSECONDS = 1e6

Statistic = Literal["mean", "sd", "min", "max", "slope"]
# Of features that count events.
Count = Literal["count"]
_FEWEST, _MOST = 2, 500
WindowRows = Annotated[int, Field(ge=_FEWEST, le=_MOST)]


class Division(SpecTable):
    """How rows are divided into a training set and a held-out test set.

    Attributes
    ----------
    by
        ``time``: the newest rows are the test set. ``unit``: no machine is on both sides.
    column
        The identifier that holds the time (as text that sorts) or the unit; None: the column that
        the spec's ``[time]`` or ``[unit]`` names.
    """

    by: Literal["time", "unit"]
    column: Name | None = None


def span(text: float | str) -> float:
    """Return a span as times are compared: a count, or microseconds."""
    if not isinstance(text, str):
        return float(text)
    number, unit = _DURATION.fullmatch(text).groups()  # type: ignore[union-attr]
    return float(number) * SECONDS[unit] * MICROSECONDS


def check_span(name: str, text: float | str) -> None:
    """Refuse what is no span of time, or none that is ahead.

    Raises
    ------
    SpecFaultError
        Of a name and a text, so that the machine spec says so.
    """
    if isinstance(text, str) and not _DURATION.fullmatch(text):
        raise SpecFaultError(
            Sentence(
                "%(name)s %(text)s is no duration such as '7d', '12h', '30min'",
                {"name": name, "text": repr(text)},
            )
        )
    if span(text) <= 0:
        raise SpecFaultError(
            Sentence("%(name)s %(text)s is not ahead", {"name": name, "text": repr(text)})
        )


def span_kind(*, is_counter: bool, example: str = "'7d'") -> Sentence:
    """Return what a span is, of a time that counts or of timestamps."""
    if is_counter:
        return Sentence("a number")
    return Sentence("a text such as %(example)s", {"example": example})


class LabelRule(SpecTable):
    """What a reading's label says.

    Attributes
    ----------
    kind
        ``row``: the reading is of a failure. ``horizon``: its unit fails within the horizon.
    within
        The horizon: a number, of a time that counts; a text such as ``"7d"``, ``"12h"``, of
        timestamps.
    """

    kind: Literal["row", "horizon"] = "row"
    within: float | str | None = None

    @property
    def horizon(self) -> float | None:
        """The horizon as times are compared: a count, or microseconds; None without one."""
        return None if self.kind == "row" or self.within is None else span(self.within)

    @property
    def in_words(self) -> str:
        """The horizon for people: ``7 d``, or ``30`` of a count."""
        if isinstance(self.within, str):
            return " ".join(_DURATION.fullmatch(self.within).groups())  # type: ignore[union-attr]
        return f"{self.within:g}"

    @model_validator(mode="after")
    def _horizon_is_one(self) -> Self:
        if (self.kind == "horizon") != (self.within is not None):
            raise SpecFaultError(
                Sentence("a label has within where its kind is horizon, and there only")
            )
        if self.within is not None:
            check_span("within", self.within)
        return self


class Events(SpecTable):
    """How failures are known.

    Attributes
    ----------
    source
        ``target``: a reading whose target is true. ``last_row``: each unit ran until it failed, at
        its last reading. ``log``: only from a log of its own, which may tell of failures, repairs
        and errors beside the other sources too.
    """

    source: Literal["target", "last_row", "log"] = "target"


class RemainingLifeRule(SpecTable):
    """How long a unit has left, as a second answer with an interval.

    Attributes
    ----------
    most
        What is longer is not told apart: early in a life nothing tells of its end. A number, or a
        text such as ``"30d"``, as ``within`` of the label.
    coverage
        Of how many units, as a share, the interval holds what they have left.
    """

    most: float | str
    coverage: Annotated[float, Field(gt=0.5, lt=1)] = 0.9

    @property
    def longest(self) -> float:
        """``most`` as times are compared: a count, or microseconds."""
        return span(self.most)

    @model_validator(mode="after")
    def _most_is_aspan(self) -> Self:
        check_span("most", self.most)
        return self


class AlarmRule(SpecTable):
    """When predictions of a unit's readings are an alarm.

    Attributes
    ----------
    confirm
        How many of how many newest readings have to say so: one odd reading is no reason to go and
        look.
    quiet
        After how many readings in a row that do not say so it is over.
    """

    confirm: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1, le=100)]] = (2, 3)
    quiet: Annotated[int, Field(ge=1, le=1000)] = 5

    @model_validator(mode="after")
    def _needs_no_more_than_there_are(self) -> Self:
        if self.confirm[0] > self.confirm[1]:
            wanted, among = map(Number, self.confirm)
            raise SpecFaultError(
                Sentence(
                    "%(wanted)s of %(among)s readings cannot say so",
                    {"wanted": wanted, "among": among},
                )
            )
        return self


class WindowColumn(NamedTuple):
    """A column that windows make: its name, of which feature it is, and what of it."""

    name: str
    feature: str
    statistic: Statistic | Count | Literal["change", "relative"]

    @property
    def is_level(self) -> bool:
        """Whether it is a value such as the feature's, and no difference."""
        return self.statistic in ("mean", "min", "max")


class WindowLength(NamedTuple):
    """How far a window reaches back.

    Attributes
    ----------
    name
        As columns end.
    rows
        So many readings at most.
    span
        Only those that are newer than that, as times are compared; infinite without a duration.
    """

    name: str
    rows: int
    span: float = math.inf


class Windows(SpecTable):
    """What a model sees of a unit's newest readings.

    Attributes
    ----------
    rows
        Lengths, in readings up to the one that is predicted.
    durations
        Lengths in time, as ``within`` of the label: so many steps of ``[time]``, and no reading
        that is older.
    statistics
        What is computed of each feature over each length.
    first
        Over so many of the unit's first readings a mean is taken; each feature's change from it is
        a feature. 0: none.
    age
        Whether the time is a feature, of a time that counts. In data of a fleet it may tell the
        date.
    of
        Names of the features; all where there are none, but for those of ``by_condition``.
    by_condition
        Names of features that say how a machine is run. Readings are divided by them into so many
        ``conditions``, found in the training part, and windows are of what features are beside
        others in the same condition.
    """

    rows: Annotated[tuple[WindowRows, ...], Field(max_length=5)] = ()
    durations: Annotated[tuple[float | str, ...], Field(max_length=5)] = ()
    statistics: Annotated[tuple[Statistic, ...], Field(min_length=1)] = ("mean", "slope")
    first: Annotated[int, Field(ge=0, le=500)] = 0
    age: bool = False
    of: tuple[Name, ...] = ()
    by_condition: tuple[Name, ...] = ()
    conditions: Annotated[int, Field(ge=2, le=20)] = 6

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what in (self.rows, self.durations, self.statistics, self.of, self.by_condition):
            if len(set(what)) != len(what):
                raise SpecFaultError(Sentence("%(names)s names one twice", {"names": str(what)}))
        if not self.rows and not self.durations:
            raise SpecFaultError(Sentence("windows have rows, or durations"))
        for duration in self.durations:
            check_span("durations", duration)
        return self

    def lengths(self, step: float | None) -> tuple[WindowLength, ...]:
        """Return the lengths, those in rows first.

        Parameters
        ----------
        step
            How far a unit's readings are apart, as times are compared.

        Raises
        ------
        SpecFaultError
            If a duration is no number of steps, or of too few or too many.
        """
        found = [WindowLength(str(rows), rows) for rows in self.rows]
        for duration in self.durations:
            rows = 0 if step is None else round(min(span(duration) / step, 2.0 * _MOST))
            if not _FEWEST <= rows <= _MOST:
                raise SpecFaultError(
                    Sentence(
                        "a window of %(duration)s has to have %(fewest)s to %(most)s steps of "
                        "[time], whose step says how far readings are apart",
                        {
                            "duration": str(duration), "fewest": Number(_FEWEST),
                            "most": Number(_MOST),
                        },
                    )
                )  # fmt: skip
            text = duration if isinstance(duration, str) else f"{duration:g}"
            name = f"within_{text.replace('.', '_').replace(' ', '')}"
            found.append(WindowLength(name, rows, span(duration)))
        return tuple(found)

    def columns(
        self, lengths: Sequence[WindowLength], features: Sequence[str], counted: Sequence[str] = ()
    ) -> tuple[WindowColumn, ...]:
        """Return the columns, of the features that windows are of and those that count events."""
        found = [
            WindowColumn(f"{feature}_{statistic}_{length.name}", feature, statistic)
            for length in lengths for statistic in self.statistics for feature in features
        ]  # fmt: skip
        if self.by_condition:
            found += [WindowColumn(f"{name}_relative", name, "relative") for name in features]
        if self.first:
            found += [WindowColumn(f"{name}_change", name, "change") for name in features]
        found += [
            WindowColumn(f"{name}_count_{length.name}", name, "count")
            for length in lengths for name in counted
        ]  # fmt: skip
        return tuple(found)
