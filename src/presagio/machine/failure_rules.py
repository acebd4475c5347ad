"""Derived quantities, and the operating limits that define failure modes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from presagio.errors import InvalidSpecError
from presagio.machine.spec_faults import SpecFaultError
from presagio.machine.spec_table import Name, NamedTable, SpecTable
from presagio.sentences import Sentence

_TWO = Sentence("two names")
_PARTS = {"sum": (2, 1000, Sentence("two names or more")), "log": (1, 1, Sentence("one name"))}


class Quantity(NamedTable):
    """A quantity derived from features, in ``unit``; ``factor`` scales the result.

    Attributes
    ----------
    kind
        ``difference``, ``product`` and ``ratio`` of two, ``sum`` of two or more, ``log`` of one:
        ``sign(x) * log(1 + |x|)``. A ratio to 0 is 0.
    """

    unit: str = ""
    kind: Literal["difference", "product", "ratio", "sum", "log"]
    of: Annotated[tuple[Name, ...], Field(min_length=1)]
    factor: float = 1.0

    @model_validator(mode="after")
    def _has_its_parts(self) -> Self:
        fewest, most, names = _PARTS.get(self.kind, (2, 2, _TWO))
        if not fewest <= len(self.of) <= most:
            raise SpecFaultError(
                Sentence(
                    "quantity %(name)s: a %(kind)s is of %(names)s",
                    {"name": self.name, "kind": self.kind, "names": names},
                )
            )
        return self


class Bound(SpecTable):
    """A quantity or feature beyond a limit; ``by`` names the category that the limit depends on."""

    of: Name
    below: float | dict[str, float] | None = None
    above: float | dict[str, float] | None = None
    by: Name | None = None

    @property
    def limit(self) -> float | dict[str, float]:
        """The one limit that is set, in the unit of ``of``.

        Raises
        ------
        InvalidSpecError
            If there is none: of a bound that was never validated.
        """
        limit = self.above if self.below is None else self.below
        if limit is None:
            raise InvalidSpecError(
                Sentence("the bound of %(of)s has neither below nor above", {"of": self.of})
            )
        return limit

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise SpecFaultError(
                Sentence("the bound of %(of)s must set either below or above", {"of": self.of})
            )
        if isinstance(self.limit, dict) != (self.by is not None):
            raise SpecFaultError(
                Sentence(
                    "the bound of %(of)s: a table of limits and `by` go together", {"of": self.of}
                )
            )
        return self


class FailureRule(SpecTable):
    """A failure mode happens when all bounds of any of its rules hold.

    Unless it is ``certain``, it may happen then: the rule says where to look and decides nothing.
    """

    mode: Name
    bounds: tuple[Bound, ...]
    certain: bool = True
