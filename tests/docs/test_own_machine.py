"""The page "Your own machine in ten minutes", walked with real drives."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from presagio.inference.diagnosis import explain
from presagio.inference.predictor import load_predictor
from presagio.machine.spec import load_spec
from presagio.training.datasets.sources import read_labelled_csv
from presagio.training.export.parity import export_model
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import train_model
from tests.commands import run_command
from tests.drives import drive_days

_PAGE = Path(__file__).parents[2] / "docs" / "own-machine.md"


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Days of real drives as a CSV file: all of those that failed, and some of the others."""
    path = tmp_path_factory.mktemp("drives") / "readings.csv"
    drive_days(6000).write_csv(path)
    return path


def _commands() -> list[list[str]]:
    """Return the commands of the page's first block."""
    block = re.findall(r"```sh\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)[0]
    assert "export PRESAGIO_MACHINE_SPEC=machine.toml" in block
    lines = [line for line in block.splitlines() if not line.startswith("export")]
    return [shlex.split(line)[1:] for line in lines]


def test_the_commands_of_the_page_make_a_model_of_real_drives(
    readings: Path, tmp_path: Path
) -> None:
    spec_file = tmp_path / "machine.toml"
    places = {"readings.csv": str(readings), "machine.toml": str(spec_file)}
    own = {"PRESAGIO_HOME": str(tmp_path), "PRESAGIO_MACHINE_SPEC": str(spec_file)}
    for words in _commands():
        env = own if words[:2] == ["ingest", "check"] else {"PRESAGIO_HOME": str(tmp_path)}
        done = run_command(*(places.get(word, word) for word in words), **env)
        assert done.returncode == 0, done.stderr + done.stdout
    spec = load_spec(spec_file)
    assert spec.target.name == "failure"
    assert spec.unit is not None
    assert spec.time is not None
    assert (spec.unit.name, spec.time.name) == ("serial_number", "date")
    assert {f.name for f in spec.features if f.log} >= {"smart_5_raw", "smart_197_raw"}
    # What a person answers: this counter is missing now and then.
    answered = spec_file.read_text("utf-8").replace(
        'name = "smart_197_raw"\n', 'name = "smart_197_raw"\nmissing = "median"\n'
    )
    spec_file.write_text(answered, encoding="utf-8")
    spec = load_spec(spec_file)
    model = train_model(read_labelled_csv(readings, spec), spec, grid=SMALL_GRID)
    assert model.card["data"]["failures"] == 90
    # Two parameter points on 75 failures: how good a model gets is measured elsewhere.
    assert model.evaluation.test.average_precision > model.split.test.target.mean()
    predictor = load_predictor(tmp_path / "m", digest=export_model(model, tmp_path / "m"))
    values = predictor.values(dict(spec.example) | {"smart_197_raw": None})
    assert np.isnan(values).sum() == 1
    found = explain(predictor, np.array(values), alarm=False)
    assert found.attribution is not None
    assert {*found.attribution.contributions} >= {*spec.feature_names}
