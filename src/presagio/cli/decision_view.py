"""How a decision about a model version is shown."""

from dataclasses import asdict
from typing import Any

from presagio.cli.exit_status import ExitStatus
from presagio.cli.output import say
from presagio.storage.promotions import RecordedDecision


def describe_decision(recorded: RecordedDecision) -> dict[str, Any]:
    """Return a decision as JSON."""
    return {"id": recorded.id, **asdict(recorded.decision), "created_at": recorded.created_at}


def print_decision(recorded: RecordedDecision, fleet: str | None = None) -> None:
    """Print what was decided, why, and how to decide otherwise.

    Parameters
    ----------
    recorded
        The decision.
    fleet
        Whose model it is; None: that of the default fleet.
    """
    decision = recorded.decision
    of_fleet = "" if fleet is None else f" --fleet {fleet}"
    name = f"{decision.model} version {decision.version}"
    if decision.kind == "refusal":
        say(f"{name} is not promoted: {decision.why}.")
        again = f"presagio promote {decision.version}{of_fleet} --force --why TEXT"
        say(f"To overrule the gate: {again}")
        return
    done = "is champion now" if decision.kind == "promotion" else "is champion again"
    if decision.forced:
        done += ", against the gate"
    say(f"{name} {done}: {decision.why}.")
    if decision.previous:
        back = f"presagio rollback{of_fleet} --why TEXT"
        say(f"Before it was version {decision.previous}; back: {back}")


def decision_status(recorded: RecordedDecision) -> ExitStatus:
    """Return what a command ends with that asked the gate."""
    refused = recorded.decision.kind == "refusal"
    return ExitStatus.NOT_PROMOTED if refused else ExitStatus.DONE
