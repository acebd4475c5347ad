"""Small files and what is old, from the command line."""

from pathlib import Path

import pytest

from presagio.settings import Settings
from tests.cli.conftest import Cli

pytestmark = pytest.mark.integration


def test_both_say_what_they_would_do(plant: Settings, cli: Cli, tmp_path: Path) -> None:
    planned = cli("compact", "--dry-run", "--json", home=tmp_path).json
    assert planned == {
        "dry_run": True, "curated": {"files": 0, "rows": 0, "compactions": 0},
        "answers": {"files": 0, "days": 0},
    }  # fmt: skip
    assert "0 small files with 0 rows are 0 objects now" in cli("compact", home=tmp_path).out
    done = cli("retention", "--dry-run", home=tmp_path)
    assert done.out.count("kept for ever") == 5
    assert "PRESAGIO_RETAIN_ARCHIVE_DAYS is not set" in done.out
    found = cli("retention", "--json", home=plant.home).json
    assert found["archive"] is None
    assert found["databases"] == []
