"""Days of real drives, of which few fail: ``drives.toml`` says what their readings are."""

import os
from pathlib import Path

import polars as pl
import pytest

DRIVES = Path(__file__).with_name("drives.toml")
_PARQUET = "TEST_DRIVES_PARQUET"


def drive_days(rows: int) -> pl.DataFrame:
    """Return some days of all drives that failed, and of some others, in an order of no meaning."""
    if not os.environ.get(_PARQUET):
        pytest.skip(f"{_PARQUET} does not name a file of drives (Backblaze, 2013)")
    days = pl.read_parquet(os.environ[_PARQUET])
    failed = days.filter(pl.col("failure") == 1)
    others = days["serial_number"].unique(maintain_order=True).gather_every(80)
    kept = days.filter(pl.col("serial_number").is_in([*failed["serial_number"], *others]))
    some = kept.sample(rows, seed=0).vstack(failed).unique(maintain_order=True)
    return some.sample(fraction=1.0, shuffle=True, seed=1)
