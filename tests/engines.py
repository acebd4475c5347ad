"""Engines that run until they fail: ``engines.toml``, generated ones and those of NASA's set."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from presagio.machine.spec import MachineSpec, load_spec, parse_spec

ENGINES = Path(__file__).with_name("engines.toml")
_EVENT_FEATURES = """
[[features]]
name = "errors"
from_events = "errors"
[[features]]
name = "since_repair"
from_events = "since_repair"
"""
_FOLDER = "TEST_TURBOFAN"


def engines() -> MachineSpec:
    return load_spec(ENGINES)


def engines_with_events() -> MachineSpec:
    """Return the machine spec with what a log of events says as features."""
    return parse_spec(engines_with_events_text().encode(), "engines.toml")


def engines_with_events_text() -> str:
    before, after = ENGINES.read_text(encoding="utf-8").split("[unit]", 1)
    return f"{before}{_EVENT_FEATURES}[unit]{after}"


def turbofan(name: str) -> Path:
    """Return a file of the turbofan data; a test without them is skipped."""
    if not os.environ.get(_FOLDER):
        pytest.skip(f"{_FOLDER} does not name a folder of turbofan data (NASA C-MAPSS)")
    return Path(os.environ[_FOLDER]) / name


def engine_rows(units: int, *, seed: int = 0) -> pl.DataFrame:
    """Return the readings of engines that wear out, each until it fails."""
    rng, parts = np.random.default_rng(seed), []
    names = engines().feature_names
    slopes = np.linspace(-1.0, 1.0, len(names))
    for unit in range(1, units + 1):
        life = int(rng.integers(80, 140))
        worn = np.exp((np.arange(life) - life) / 20.0)[:, None]
        values = 100.0 + 5.0 * slopes * worn + rng.normal(0, 0.5, (life, len(names)))
        columns = dict(zip(names, np.round(values, 3).T, strict=True))
        parts.append(
            pl.DataFrame({"unit": [str(unit)] * life, "cycle": range(1, life + 1)} | columns)
        )
    return pl.concat(parts)
