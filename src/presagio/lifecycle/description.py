"""What MLflow's pages say of a version once somebody has decided on it: its tags, its description.

It is written after the decision, from what the ledger has recorded: no tag speaks of a promotion
that did not happen. Where MLflow fails then, the decision stands, and the log says what is missing.
"""

import logging

from presagio.errors import RegistryError
from presagio.registry.versions import GateOutcome, RegisteredVersion
from presagio.registry.writer import Registry
from presagio.storage.promotions import Decision, RecordedDecision

_log = logging.getLogger(__name__)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def gate_outcome(decision: Decision) -> GateOutcome:
    """Return what the tag of the gate says of a decision on a challenger."""
    if decision.forced:
        return "forced"
    return "passed" if decision.kind == "promotion" else "not promoted"


def decision_in_words(recorded: RecordedDecision) -> str:
    """Say in one paragraph of Markdown what became of a version, when, by whom and why."""
    decision, at = recorded.decision, f"{recorded.created_at:%Y-%m-%d %H:%M} UTC"
    start = f"Version {decision.version}"
    if decision.kind == "refusal":
        became = f"{start} is not promoted"
    elif decision.kind == "rollback":
        became = f"{start} is champion again: rolled back from version {decision.previous}"
    else:
        became = f"{start} is champion{', promoted against the gate' if decision.forced else ''}"
    return f"**{became}.** {_one_line(decision.why)} ({decision.who}, {at})"


def _replaced_in_words(recorded: RecordedDecision) -> str:
    decision, at = recorded.decision, f"{recorded.created_at:%Y-%m-%d %H:%M} UTC"
    return f"**Version {decision.previous} was champion until {at}; then {decision.version} was.**"


def _describe(registry: Registry, version: RegisteredVersion, state: str) -> None:
    """Put the state of a version before what is written beside it, in place of the last one."""
    first, _, rest = registry.description(version).partition("\n\n")
    if not first.startswith(f"**Version {version.version} "):
        rest = "\n\n".join(part for part in (first, rest) if part)
    registry.describe(version, f"{state}\n\n{rest}".strip())


def present(
    registry: Registry, version: RegisteredVersion, previous: RegisteredVersion | None,
    recorded: RecordedDecision,
) -> None:  # fmt: skip
    """Write a decision beside the version, and beside the one that it has replaced.

    Parameters
    ----------
    registry
        Where the pages are.
    version
        What it was decided on.
    previous
        The champion before; None where there was none.
    recorded
        The decision.
    """
    decision = recorded.decision
    is_itself = previous is not None and previous.version == version.version
    try:
        if decision.kind != "rollback":
            outcome = gate_outcome(decision)
            registry.log_decision(version, outcome, who=decision.who, why=decision.why)
        if decision.kind == "refusal" and is_itself:
            # It was asked about the champion, which stays.
            return
        _describe(registry, version, decision_in_words(recorded))
        if decision.kind != "refusal" and previous is not None and not is_itself:
            _describe(registry, previous, _replaced_in_words(recorded))
    except RegistryError as err:
        _log.warning(
            "decision %d on %s version %s stands, and MLflow's page does not say so: %s",
            recorded.id, version.name, version.version, err,
        )  # fmt: skip
