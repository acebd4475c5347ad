"""Units that wear out, for any machine with units and times."""

import numpy as np
import polars as pl
import pytest

from presagio.ingest.checking import check_file
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from tests.engines import engines
from tests.motors import motors


@pytest.mark.parametrize("spec", [engines(), motors()], ids=lambda spec: spec.name)
def test_readings_are_of_the_machine_and_each_unit_fails_at_its_end(spec: MachineSpec) -> None:
    rows = pl.concat(simulate(spec, 25_000, seed=1))
    assert len(rows) == 25_000
    assert rows.equals(pl.concat(simulate(spec, 30_000, seed=1)).head(25_000))
    checked = check_file(rows.write_csv().encode(), spec)
    assert checked.fault is None
    assert checked.rejected.is_empty()
    assert checked.notes["series"]["out_of_order"] == 0
    assert spec.unit is not None
    ends = rows[spec.unit.name] != rows[spec.unit.name].shift(-1).fill_null("")
    assert ends[:-1].equals(rows[spec.target.name][:-1])


def test_a_worn_unit_is_not_as_a_new_one() -> None:
    rows = pl.concat(simulate(engines(), 20_000))
    age = rows.select(pl.col("cycle") / pl.col("cycle").max().over("unit")).to_series()
    new, worn = (rows.filter(part)["sensor_2"].to_numpy() for part in (age < 0.2, age > 0.95))
    assert abs(np.mean(worn) - np.mean(new)) > 2 * np.std(new)
