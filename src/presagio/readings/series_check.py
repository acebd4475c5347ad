"""The rules of what a reading is of and of when it was taken, for cells of text."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from presagio.machine.series import TimeColumn, UnitColumn
from presagio.machine.spec import MachineSpec
from presagio.readings.allowed import UNIT_NAME, other_member_allowed
from presagio.readings.row_rule import Rule, value_rules
from presagio.readings.rules import Reason
from presagio.readings.text_values import one_of
from presagio.sentences import either, in_english


def one_name(unit: UnitColumn) -> pl.Expr | None:
    """Return the column of units with one name for each; None where each name is one."""
    if unit.names == "exact":
        return None
    folded = pl.col(unit.name).str.strip_chars().str.replace_all(r"\s+", " ")
    return folded.str.to_uppercase().alias(unit.name)


@dataclass(frozen=True)
class SeriesCheck:
    """The columns of one file that name unit, time and members, and their rules.

    Attributes
    ----------
    spec
        The machine spec.
    found
        The spec's names for the columns that the file has.
    """

    spec: MachineSpec
    found: frozenset[str]

    @cached_property
    def time(self) -> TimeColumn | None:
        """What the spec says of the file's column of times, if it has one."""
        time = self.spec.time
        return time if time is not None and time.name in self.found else None

    @cached_property
    def owners(self) -> dict[str, str]:
        """The file's columns that say what a reading is of, and what may stand there."""
        unit, members, allowed = self.spec.unit, self.spec.members, dict[str, str]()
        if unit is not None:
            allowed[unit.name] = str(UNIT_NAME)
        if members is not None:
            allowed[members.name] = in_english(either(members.values))
        return {name: words for name, words in allowed.items() if name in self.found}

    def rules(self, instant: str) -> list[Rule]:
        """Return the rules; ``instant`` names the column of parsed times."""
        rules = [rule for name, words in self.owners.items() for rule in value_rules(name, words)]
        if (time := self.time) is not None:
            wrong = (pl.col(time.name) != "") & pl.col(instant).is_null()
            rules += value_rules(time.name, time.allowed)
            rules.append(Rule(time.name, Reason.NOT_A_TIME, wrong, time.allowed))
        return rules

    @cached_property
    def other_member(self) -> Rule | None:
        """What tells rows of kinds that do not belong to the fleet; they have no other fault."""
        members = self.spec.members
        if members is None or members.name not in self.found:
            return None
        allowed = str(other_member_allowed(either(members.values)))
        other = (pl.col(members.name) != "") & ~one_of(pl.col(members.name), members.values)
        return Rule(members.name, Reason.OTHER_MEMBER, other, allowed)
