"""What is known of a machine at a time: columns, numeric features, categories."""

import sys
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from presagio.machine.spec_faults import SpecFaultError
from presagio.machine.spec_table import Name, NamedTable
from presagio.machine.units import display_units
from presagio.sentences import Number, Sentence, Value

_ANY = Sentence("any finite number")


class Column(NamedTable):
    """A column of a file, by the spec's name and the other ``columns`` names that are accepted.

    By itself it is kept and never a feature: an identifier, the target, a failure mode.
    """

    columns: tuple[str, ...] = ()


class Label(Column):
    """A column that tells what became of a machine: the target, or a failure mode.

    Attributes
    ----------
    true_words, false_words
        Text that means it, or its opposite, besides 1 and 0, true and false, yes and no.
    """

    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _words_differ(self) -> Self:
        both = {w.strip().lower() for w in self.true_words} & {
            w.strip().lower() for w in self.false_words
        }
        if both:
            raise SpecFaultError(
                Sentence(
                    "label %(name)s: %(words)s mean true and false",
                    {"name": self.name, "words": str(sorted(both))},
                )
            )
        return self


# What is done with a reading that lacks a feature: it is refused, or something stands in: the
# feature's median in the training data, or the last value that its unit had before (the median
# where there is none). A model is told which values were missing.
MissingPolicy = Literal["refuse", "median", "last"]

# What a log of events says at a reading: how many errors came since the unit's reading before, and
# how long ago its last repair or failure was.
EventFeature = Literal["errors", "since_repair"]


class Feature(Column):
    """A numeric reading: its unit, and what a working sensor can say.

    Attributes
    ----------
    unit
        Its unit of measurement; empty for a number without one.
    range
        The least and the largest plausible value; None where every finite number is.
    example
        A value for the documents; None: the middle of the range, or 0.
    missing
        What is done where it is missing; None: what the spec says for all features.
    log
        Whether a model sees its logarithm, ``sign(x) * log(1 + |x|)``: for counters with a long
        tail.
    per_minute
        How much it grows in each minute of work; None for what does not wear.
    adjustable
        Whether it can be changed on the machine; the weather cannot.
    from_events
        What it is of the fleet's log of events, from which training takes it: ``errors`` since the
        unit's reading before, or the time ``since_repair``, in ``unit`` (d, h, min, s) of
        timestamps. Who asks for a prediction sends it; without it there were no errors, and it is
        not known when the unit was repaired.
    display_unit
        The unit that people see it in, such as °C for K; empty: the one that the plant prefers, or
        ``unit``. Like titles in other languages it is for show only, and no part of artifacts and
        of the spec's digest.
    """

    unit: str = ""
    range: tuple[float, float] | None = None
    example: float | None = None
    missing: MissingPolicy | None = None
    log: bool = False
    per_minute: Annotated[float, Field(gt=0)] | None = None
    adjustable: bool = True
    from_events: EventFeature | None = None
    display_unit: Annotated[str, Field(exclude=True)] = ""

    @property
    def counts_events(self) -> bool:
        """Whether it is how many events there were; where it is missing, there was none."""
        return self.from_events == "errors"

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest plausible value; of every finite number without a range."""
        return self.range or (-sys.float_info.max, sys.float_info.max)

    @property
    def typical(self) -> float:
        """A value for the documents."""
        if self.example is not None:
            return self.example
        return 0.0 if self.range is None else sum(self.range) / 2.0

    @property
    def log_name(self) -> str:
        """What its logarithm is called."""
        return f"log_{self.name}"

    @property
    def missing_name(self) -> str:
        """What the flag is called that says it was missing."""
        return f"missing_{self.name}"

    @property
    def plausible(self) -> Sentence:
        """What values are allowed."""
        if self.range is None:
            unit: dict[str, Value] = {"unit": self.unit}
            return Sentence("any finite number of %(unit)s", unit) if self.unit else _ANY
        low, high = self.range
        ends: dict[str, Value] = {"low": Number(low), "high": Number(high)}
        if not self.unit:
            return Sentence("%(low)s to %(high)s", ends)
        return Sentence("%(low)s to %(high)s %(unit)s", {**ends, "unit": self.unit})

    @property
    def allowed(self) -> str:
        """What values are allowed, in English."""
        return str(self.plausible)

    @model_validator(mode="after")
    def _range_holds_example(self) -> Self:
        low, high = self.bounds
        # As the file has them: with a point before decimals.
        as_written = {"range": str(self.range), "example": str(self.example)}
        if self.from_events is not None and self.missing is not None:
            raise self._fault(Sentence("what is from_events has no policy of its own"))
        if self.per_minute is not None and self.range is None:
            raise self._fault(Sentence("what grows per_minute needs a range"))
        if low >= high:
            raise self._fault(Sentence("the range %(range)s holds nothing", as_written))
        if self.display_unit and self.display_unit not in display_units(self.unit):
            raise self._fault(
                Sentence(
                    "display_unit is %(shown)s, and readings in %(unit)s can be shown in %(units)s",
                    {
                        "shown": repr(self.display_unit), "unit": repr(self.unit),
                        "units": str([*display_units(self.unit)]),
                    },
                )
            )  # fmt: skip
        if self.example is not None and not low <= self.example <= high:
            raise self._fault(Sentence("example %(example)s is outside %(range)s", as_written))
        return self

    def _fault(self, fault: Sentence) -> SpecFaultError:
        return SpecFaultError(
            Sentence("feature %(name)s: %(fault)s", {"name": self.name, "fault": fault})
        )


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
            raise self._fault(
                Sentence(
                    "%(unknown)s not among values %(values)s",
                    {"unknown": str(unknown), "values": str(self.values)},
                )
            )
        if len(self.values) - len(self.indicators) > 1:
            raise self._fault(Sentence("only one value may lack an indicator"))
        return self

    def _fault(self, fault: Sentence) -> SpecFaultError:
        return SpecFaultError(
            Sentence("category %(name)s: %(fault)s", {"name": self.name, "fault": fault})
        )

    @property
    def remainder(self) -> str | None:
        """The value that holds where no indicator is set, if there is one."""
        rest = [value for value in self.values if value not in self.indicators]
        return rest[0] if rest else None
