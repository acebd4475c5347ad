"""Readings of another machine than the default one: ``pumps.toml``, with gaps and text labels."""

from pathlib import Path

import numpy as np
import polars as pl

from presagio.machine.spec import MachineSpec, load_spec

PUMPS = Path(__file__).with_name("pumps.toml")


def pumps_called(name: str) -> bytes:
    """Return the spec as that of another fleet."""
    text = PUMPS.read_bytes()
    assert b'name = "pumps"' in text
    return text.replace(b'name = "pumps"', f'name = "{name}"'.encode(), 1)


def pumps() -> MachineSpec:
    return load_spec(PUMPS)


def pump_rows(rows: int, *, seed: int = 0) -> pl.DataFrame:
    """Return readings as a plant exports them: all text, under its own names."""
    rng = np.random.default_rng(seed)
    pressure, flow = rng.uniform(5.0, 20.0, rows), rng.uniform(20.0, 80.0, rows)
    restarts, vibration = rng.pareto(1.0, rows) * 10.0, rng.normal(3.0, 1.0, rows)
    lost = rng.random(rows) < 0.2
    risk = (vibration > 4.5) & ~lost | (np.log1p(restarts) > 5.0) | (pressure / flow > 0.7)
    failed = risk & (rng.random(rows) < 0.9)
    gap = np.where(rng.random(rows) < 0.5, "na", "")
    return pl.DataFrame(
        {
            "pump": [f"P{i % 40:02d}" for i in range(rows)],
            "Discharge pressure [bar]": [f"{value:.3f}" for value in pressure],
            "flow": [f"{value:.3f}" for value in flow],
            "restarts": [f"{value:.1f}" for value in restarts],
            "Vibration": np.where(lost, gap, [f"{value:.3f}" for value in vibration]),
            "seal": rng.choice(["single", "double"], rows),
            "Class": np.where(failed, "pos", "neg"),
        }
    )


def pump_csv(rows: int, *, seed: int = 0) -> bytes:
    return pump_rows(rows, seed=seed).write_csv().encode()
