"""The fields of requests that say of which unit readings are, and when they were taken."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, create_model
from pydantic_core import PydanticCustomError

from presagio.machine.series import TimeColumn
from presagio.machine.spec import MachineSpec
from presagio.readings.rules import LONGEST_VALUE, Reason

# Text that stands in a file later: no character that ends a line, or that no file has.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
# Of one series so many readings are taken.
MOST_READINGS = 1000
TEXT = StringConstraints(strip_whitespace=True, max_length=LONGEST_VALUE, pattern=PRINTABLE)


def _refuse(reason: Reason, got: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError(reason.value, "{got}", {"got": repr(got), "allowed": allowed})


def _unit_check(spec: MachineSpec) -> Callable[[str], str]:
    gaps = {"", *(text.strip().lower() for text in spec.missing_values)}

    def check(unit: str) -> str:
        if unit.lower() in gaps:
            raise _refuse(Reason.MISSING, unit, "the name of a unit")
        return unit

    return check


def _time_check(time: TimeColumn) -> Callable[[str], str]:
    def check(text: str) -> str:
        # Polars takes a third of a second to import: for the first outcome of a spec with times.
        import polars as pl  # noqa: PLC0415

        from presagio.readings.instants import time_in  # noqa: PLC0415

        if pl.select(time_in(pl.lit(text), time)).item() is None:
            raise _refuse(Reason.NOT_A_TIME, text, time.allowed)
        return text

    return check


def series_fields(spec: MachineSpec) -> dict[str, Any]:
    """Return the fields that say of which unit a reading is, and when it was taken."""
    fields: dict[str, Any] = {}
    if spec.unit is not None:
        about = Field(description="Of which unit the reading is.")
        fields["unit"] = (Annotated[str, TEXT, AfterValidator(_unit_check(spec)), about], ...)
    if (time := spec.time) is not None:
        about = Field(description=f"When the reading was taken: {time.allowed}.")
        number = Field(strict=True, allow_inf_nan=False)
        kind: Any = Annotated[float, number, about]
        if not time.is_counter:
            kind = Annotated[str, TEXT, AfterValidator(_time_check(time)), about]
        fields["time"] = (kind, ...)
    if (members := spec.members) is not None:
        only = members.values[0] if len(members.values) == 1 else ...
        about = Field(description="Of what kind the unit is.")
        fields["member"] = (Annotated[Literal[members.values], about], only)
    return fields


def series_values(spec: MachineSpec, outcome: object) -> dict[str, object]:
    """Return what an outcome says of unit, time and kind, by the spec's names."""
    columns = {"unit": spec.unit, "time": spec.time, "member": spec.members}
    return {
        column.name: getattr(outcome, field)
        for field, column in columns.items() if column is not None
    }  # fmt: skip


def example_series(spec: MachineSpec) -> dict[str, object]:
    """Return an example of these fields."""
    found: dict[str, object] = {} if spec.unit is None else {"unit": "A-17"}
    if spec.time is not None:
        found["time"] = 1.0 if spec.time.is_counter else "2026-01-31T08:30:00+01:00"
    return found if spec.members is None else found | {"member": spec.members.values[0]}


def readings_fields(spec: MachineSpec, features: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a request that sends the newest readings of one unit."""
    time = spec.time
    about = Field(description="When it was taken." if time is None else f"{time.allowed}.")
    kind: Any = Annotated[str, TEXT, about]
    if time is not None and time.is_counter:
        kind = Annotated[float, Field(strict=True, allow_inf_nan=False), about]
    reading = create_model("Reading", time=(kind, ...), features=(features, ...))
    wanted = f"The unit's newest readings, in order of time, at most {MOST_READINGS:,}"
    if spec.windows is not None:
        wanted += f"; a whole window has {spec.longest_window}"
        if spec.windows.first:
            wanted += f". The unit's first {spec.windows.first} go before them"
    limits = Field(min_length=1, max_length=MOST_READINGS, description=f"{wanted}.")
    of_unit = Field(description="Of which unit the readings are.")
    return {
        "unit": (Annotated[str, TEXT, of_unit] | None, None),
        "readings": (Annotated[list[reading], limits] | None, None),
    }
