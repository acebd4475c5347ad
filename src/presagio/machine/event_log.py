"""The log of a fleet's events: what its files have, as a machine spec that the intake checks by."""

from typing import Literal, get_args

from presagio.machine.inputs import Category, Column, Feature, Label
from presagio.machine.learning import IS_FAILURE, IS_REPAIR, KIND, MODE
from presagio.machine.spec import MachineSpec

# Below a fleet's incoming prefix, where readings have units and times.
EVENTS = "events/"
EventKind = Literal["failure", "repair", "error"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
# A label that no file of events has; what it would say is the kind.
_NO_TARGET = "is_event"


class EventLog(MachineSpec):
    """What files of events have: the fleet's unit and time, the kind of event, and its mode."""

    features: tuple[Feature, ...] = ()


def event_log(spec: MachineSpec) -> EventLog:
    """Return what files of a fleet's events are checked by.

    Parameters
    ----------
    spec
        The fleet's machine spec, with unit and time.
    """
    kind = Category(
        name=KIND, columns=("event", "event kind", "event_kind", "event type", "event_type"),
        values=EVENT_KINDS, indicators={"failure": IS_FAILURE, "repair": IS_REPAIR},
        example="failure",
    )  # fmt: skip
    # Between events any time may pass.
    time = None if spec.time is None else spec.time.model_copy(update={"step": None})
    mode = Column(name=MODE, columns=("failure mode", "failure_mode", "code", "error code"))
    return EventLog(
        name=spec.name, title=f"events of {spec.title or spec.name}", unit=spec.unit,
        time=time, missing_values=spec.missing_values, categories=(kind,),
        identifiers=(mode,), target=Label(name=_NO_TARGET),
    )  # fmt: skip
