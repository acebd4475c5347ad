"""What answers cost, of which the alarm's threshold follows."""

from typing import Annotated

from pydantic import Field

from presagio.machine.spec_table import SpecTable


class Costs(SpecTable):
    """What an answer costs, in one currency of the plant's own; what counts is how they compare.

    Attributes
    ----------
    missed_failure
        A failure without an alarm.
    false_alarm
        An alarm without a failure, beyond the inspection.
    inspection
        Every alarm.
    max_alarm_share
        The largest share of readings that can be inspected; None where there is no bound.
    """

    missed_failure: Annotated[float, Field(gt=0)]
    false_alarm: Annotated[float, Field(ge=0)]
    inspection: Annotated[float, Field(ge=0)] = 0.0
    max_alarm_share: Annotated[float, Field(gt=0, le=1)] | None = None
