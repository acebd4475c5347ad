"""How values are written for people: decimal comma, the plant's time zone, units that they know."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent

from presagio.console.catalogue import Catalogue
from presagio.errors import SettingsError
from presagio.machine.shown_units import ShownUnits
from presagio.machine.spec import MachineSpec
from presagio.machine.units import Unit, find_unit
from presagio.settings import Settings

# An en dash.
_NOTHING = "\u2013"


def read_units(pairs: tuple[str, ...]) -> dict[str, Unit]:
    """Return the unit that is preferred to each unit, from texts such as ``K=°C``.

    Raises
    ------
    SettingsError
        If one is no pair of units of one dimension.
    """
    found = {}
    for pair in pairs:
        before, _, after = pair.partition("=")
        old, new = find_unit(before), find_unit(after)
        if old is None or new is None or old.dimension != new.dimension:
            raise SettingsError(
                f"PRESAGIO_CONSOLE_UNITS: {pair!r} is not UNIT=UNIT of one dimension, as K=°C"
            )
        found[old.symbol] = new
    return found


@dataclass(frozen=True)
class Presentation:
    """Writes values in one language.

    Attributes
    ----------
    zone
        The plant's time zone.
    preferred
        The unit to show instead of each unit, where a machine spec does not say it.
    """

    catalogue: Catalogue
    zone: ZoneInfo
    preferred: Mapping[str, Unit]

    def number(self, value: float | None, decimals: int = 0) -> str:
        """Write a number with so many decimals at most."""
        if value is None or not math.isfinite(value):
            return _NOTHING
        pattern = "#,##0" + ("." + "#" * decimals if decimals else "")
        return format_decimal(value, format=pattern, locale=self.catalogue.locale)

    def significant(self, value: float | None, digits: int = 3) -> str:
        """Write a number rounded to so many significant digits."""
        if value is None or not math.isfinite(value):
            return _NOTHING
        decimals = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return self.number(value, min(decimals, 12))

    def percent(self, share: float | None, decimals: int = 0) -> str:
        """Write a share, 0 to 1, as per cent."""
        if share is None or not math.isfinite(share):
            return _NOTHING
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "") + " %"
        # Nothing that may still come, or stay out, is written as certain.
        step = 0.01 / 10**decimals
        sign, shown = "", share
        if 0.0 < share < step / 2:
            sign, shown = "< ", step
        elif 1.0 - step / 2 <= share < 1.0:
            sign, shown = "> ", 1.0 - step
        return sign + format_percent(shown, format=pattern, locale=self.catalogue.locale)

    def units_of(self, spec: MachineSpec) -> ShownUnits:
        """Return the units that readings of a machine are shown in."""
        return ShownUnits(spec, self.preferred)

    def measured(self, value: float | None, symbol: str = "", digits: int = 4) -> str:
        """Write a number with its unit, both as they are shown."""
        if value is None or not math.isfinite(value):
            return _NOTHING
        text = self.significant(value, digits)
        return f"{text} {symbol}" if symbol else text

    def moment(self, when: datetime | None) -> str:
        """Write a time, in the plant's time zone, to the minute."""
        if when is None:
            return _NOTHING
        return format_datetime(
            when.astimezone(self.zone), "d MMM y, HH:mm", locale=self.catalogue.locale
        )

    def day(self, when: datetime | None) -> str:
        """Write the date of a time, in the plant's time zone."""
        if when is None:
            return _NOTHING
        return format_date(when.astimezone(self.zone), "d MMM y", locale=self.catalogue.locale)

    def ago(self, when: datetime | None, now: datetime | None = None) -> str:
        """Write how long ago a time is, such as "3 hours ago"."""
        if when is None:
            return _NOTHING
        past = when - (now or datetime.now(UTC))
        return format_timedelta(past, add_direction=True, locale=self.catalogue.locale)

    def machine_time(self, when: datetime | None) -> str:
        """Return a time as HTML's ``<time datetime>`` wants it."""
        return "" if when is None else when.astimezone(UTC).isoformat(timespec="seconds")


def make_presentations(
    settings: Settings, catalogues: Mapping[str, Catalogue]
) -> dict[str, Presentation]:
    """Make what writes values, for each language.

    Raises
    ------
    SettingsError
        If units that the settings name are none.
    """
    zone, units = ZoneInfo(settings.plant_time_zone), read_units(settings.console_units)
    return {name: Presentation(found, zone, units) for name, found in catalogues.items()}


def context(presentation: Presentation) -> dict[str, Any]:
    """Return what templates write values with, by name."""
    return {"show": presentation}
