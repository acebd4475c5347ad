"""Which machine a reading is of, and when it was taken: the columns that make rows a series."""

import re
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from presagio.machine.inputs import Column
from presagio.machine.learning import check_span, span, span_kind
from presagio.machine.spec_faults import SpecFaultError
from presagio.sentences import Sentence

# What a format may have, as strptime has it; the rest of it stands for itself.
_DIRECTIVES = {*"YmdHMSfzyjbBpIeTFR"}
_UTC = "UTC"
_EXAMPLE = "2026-01-31T08:30:00+01:00"


class UnitColumn(Column):
    """The column that names the unit: one machine of the fleet.

    Attributes
    ----------
    names
        ``exact``: names that differ at all are of different units. ``folded``: those that differ
        by case or white space only are of one unit, which is kept in upper case, with single
        blanks.
    """

    names: Literal["exact", "folded"] = "exact"


class MembersColumn(Column):
    """A column that says of what kind a row's unit is, where files mix several kinds.

    Attributes
    ----------
    values
        The kinds that belong to this fleet; rows of others are set aside, and no mistake.
    """

    values: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("values")
    @classmethod
    def _values_are_stripped(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [value for value in values if not value or value != value.strip()]:
            raise SpecFaultError(
                Sentence(
                    "values must be text without white space around it: %(wrong)s",
                    {"wrong": str(wrong)},
                )
            )
        return values


class TimeColumn(Column):
    """The column that says when a reading was taken.

    Attributes
    ----------
    kind
        ``timestamp``, or ``counter``: a number that grows, such as cycles or hours of operation.
    zone
        The time zone of timestamps that do not say theirs.
    format
        How timestamps are written where they are not in ISO 8601, in the directives of strptime.
    step
        How far apart a unit's readings are: a number, of a counter, or a text such as ``"1h"``.
        The receipt says how often more time passed.
    tolerance
        By which share of a step it may be more.
    """

    kind: Literal["timestamp", "counter"] = "timestamp"
    zone: str = _UTC
    format: str | None = None
    step: float | str | None = None
    tolerance: Annotated[float, Field(ge=0, le=100)] = 0.5

    @property
    def longest_step(self) -> float | None:
        """From what distance on something is missing, as times are compared; None: never."""
        return None if self.step is None else span(self.step) * (1 + self.tolerance)

    @property
    def is_utc(self) -> bool:
        """Whether times without an offset are of UTC."""
        return self.zone == _UTC

    @property
    def is_counter(self) -> bool:
        """Whether it counts, and is no timestamp."""
        return self.kind == "counter"

    @property
    def accepted(self) -> Sentence:
        """What may stand there."""
        if self.is_counter:
            return Sentence("a number, the count at the reading")
        time = Sentence("a time such as %(example)s, from 1900 to 2199", {"example": _EXAMPLE})
        if self.format is not None:
            time = Sentence("%(time)s, or as %(format)s", {"time": time, "format": self.format})
        if self.is_utc:
            return Sentence("%(time)s; without an offset it is of UTC", {"time": time})
        return Sentence(
            "%(time)s; without an offset it is of %(zone)s, where the hour must stand once",
            {"time": time, "zone": self.zone},
        )

    @property
    def allowed(self) -> str:
        """What may stand there, in English."""
        return str(self.accepted)

    def _fault(self, fault: Sentence) -> SpecFaultError:
        return SpecFaultError(
            Sentence("time %(name)s: %(fault)s", {"name": self.name, "fault": fault})
        )

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            # A small image may have no zones at all; what reads times there has its own.
            if available_timezones():
                raise SpecFaultError(
                    Sentence(
                        "%(zone)s is no time zone; write one such as 'Europe/Madrid'",
                        {"zone": repr(zone)},
                    )
                ) from err
        return zone

    @model_validator(mode="after")
    def _format_is_of_a_timestamp(self) -> Self:
        if self.step is not None:
            check_span("step", self.step)
            if self.is_counter == isinstance(self.step, str):
                wanted = span_kind(is_counter=self.is_counter, example="'1h'")
                raise self._fault(
                    Sentence(
                        "step is %(wanted)s, as it is a %(kind)s",
                        {"wanted": wanted, "kind": self.kind},
                    )
                )
        if self.is_counter and (self.format is not None or self.zone != _UTC):
            raise self._fault(Sentence("a counter has neither format nor zone"))
        if self.format is not None:
            used = set(re.findall(r"%\.?(.?)", self.format))
            if unknown := used - _DIRECTIVES:
                raise self._fault(
                    Sentence(
                        "%(directive)s is no directive of a format",
                        {"directive": f"%{min(unknown)}"},
                    )
                )
            if not used & {*"jdeF"} or not used & {*"YyF"}:
                raise self._fault(Sentence("the format lacks the day or the year"))
        return self
