"""How a decision is told: who reads it can decide otherwise, about the same fleet."""

from datetime import UTC, datetime

import pytest

from presagio.cli.decision_view import print_decision
from presagio.storage.promotions import Decision, RecordedDecision

_REFUSED = Decision("svm_pumps", "4", "refusal", "ana", "it costs more")
_PROMOTED = Decision("svm_pumps", "4", "promotion", "ana", "it costs less", previous="3")


@pytest.mark.parametrize(
    ("decision", "command"),
    [
        (_REFUSED, "presagio promote 4{} --force --why TEXT"),
        (_PROMOTED, "presagio rollback{} --why TEXT"),
    ],
)
def test_the_command_that_decides_otherwise_names_the_fleet(
    decision: Decision, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = RecordedDecision(1, decision, datetime(2026, 3, 9, tzinfo=UTC))
    print_decision(recorded, "pumps")
    assert command.format(" --fleet pumps") in capsys.readouterr().out
    print_decision(recorded)
    assert command.format("") in capsys.readouterr().out
