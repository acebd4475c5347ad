"""What is known of a machine at a time: columns, numeric features, categories."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from presagio.machine.spec_table import Name, NamedTable


class Column(NamedTable):
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
    def remainder(self) -> str | None:
        """The value that holds where no indicator is set, if there is one."""
        rest = [value for value in self.values if value not in self.indicators]
        return rest[0] if rest else None
