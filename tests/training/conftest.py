"""What the tests of trainings share."""

import pytest

from presagio.training.detectors import streamed


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have streamed SVMs learn in fewer steps, where it does not matter how good they get."""
    monkeypatch.setattr(streamed, "_STEPS", 20_000)
