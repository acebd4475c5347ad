"""Many fleets in one command: each is trained by itself, and one that cannot be stops no other."""

from pathlib import Path

import pytest

from presagio.cli.exit_status import ExitStatus
from presagio.errors import NotFoundError
from presagio.fleet import load_fleets
from presagio.ingest.filing import Intake
from presagio.jobs.train_fleets import chosen_fleets
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.settings import Settings, load_settings
from tests.cli.conftest import Cli, cli  # noqa: F401 - a fixture
from tests.filing import file_body
from tests.pumps import PUMPS


def test_fleets_are_chosen_by_name_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESAGIO_FLEETS", str(PUMPS))
    fleets = load_fleets(load_settings())
    assert chosen_fleets(fleets, []) == ["ai4i2020", "pumps"]
    assert chosen_fleets(fleets, ["pumps", "pumps"]) == ["pumps"]
    with pytest.raises(NotFoundError, match="there are: ai4i2020, pumps"):
        chosen_fleets(fleets, ["pumps", "presses"])


@pytest.mark.integration
def test_every_fleet_is_trained_on_what_the_intake_has_taken(
    plant: Settings, plant_intake: Intake, spec: MachineSpec, cli: Cli,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("PRESAGIO_FLEETS", str(PUMPS))
    # Instead of 10,000 generated rows.
    next(simulate(spec, 1500, seed=75)).write_csv(tmp_path / "known.csv")
    monkeypatch.setenv("PRESAGIO_AI4I_CSV", str(tmp_path / "known.csv"))
    rows = next(simulate(spec, 300, seed=1))
    file_body(plant_intake, "a.csv", rows.write_csv().encode())
    train = ("train", "--every-fleet", "--search", "small", "--workers", "1", "--json")
    done = cli(*train, home=plant.home)
    assert done.status == ExitStatus.FAILED, done.err
    found = {line["fleet"]: line for line in done.lines}
    assert (found["ai4i2020"]["version"], found["ai4i2020"]["decision"]) == ("1", "promotion")
    assert "labelled" in found["pumps"]["fault"]
    # With one of its own fleets only, and what does not go with it.
    for wrong in (["--fleets", "pumps"], ["--processed"], ["--fleet", "pumps"]):
        assert cli(*train, *wrong, home=plant.home).status == ExitStatus.USAGE
    unknown = cli("train", "--fleets", "presses", home=plant.home)
    assert unknown.status == ExitStatus.NOT_FOUND
