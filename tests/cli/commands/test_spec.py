"""Commands on machine specs."""

import json
from pathlib import Path

import pytest

from presagio.machine.spec import load_spec
from tests.cli.conftest import Cli
from tests.commands import run_command
from tests.pumps import PUMPS, pump_csv


def test_a_draft_is_written_once_and_is_fine(cli: Cli, tmp_path: Path) -> None:
    data, spec = tmp_path / "pumps.csv", tmp_path / "pumps.toml"
    data.write_bytes(pump_csv(300))
    printed = cli("spec", "draft", data, home=tmp_path)
    written = cli("spec", "draft", data, "--output", spec, home=tmp_path)
    again = cli("spec", "draft", data, "--output", spec, home=tmp_path)
    assert (printed.status, written.status, again.status) == (0, 0, 1)
    assert printed.out == spec.read_text("utf-8")
    assert "pumps.toml" in again.err
    assert cli("spec", "check", spec, home=tmp_path).status == 0
    assert load_spec(spec).target.name == "class"


def test_each_fault_is_named_with_its_line(cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(PUMPS.read_text("utf-8").replace('"median"', '"mean"'), encoding="utf-8")
    done = cli("spec", "check", PUMPS, broken, home=tmp_path)
    assert done.status == 1
    fine, *faults = done.out.splitlines()
    assert fine.startswith(f"{PUMPS}: fine; name pumps, features 4")
    lines = [
        i for i, line in enumerate(broken.read_text("utf-8").splitlines(), 1) if "mean" in line
    ]
    assert [fault.split(": ")[1] for fault in faults] == [f"line {line}" for line in lines]
    listed = cli("spec", "check", PUMPS, broken, "--json", home=tmp_path).lines
    assert [len(one["faults"]) for one in listed] == [0, 2]
    assert listed[0]["optional"] == 2


def test_of_a_list_whose_only_entry_is_at_fault_it_is_not_said_that_it_is_empty(
    cli: Cli, tmp_path: Path
) -> None:
    spec, feature = tmp_path / "x.toml", '[[features]]\nname = "a"\nmissing = "zero"\n'
    spec.write_text(f'name = "x"\ntitle = "X"\n{feature}[target]\nname = "y"\n', encoding="utf-8")
    (fault,) = cli("spec", "check", spec, "--json", home=tmp_path).json["faults"]
    assert fault.startswith("line 5: features.0.missing: ")
    spec.write_text('name = "x"\ntitle = "X"\nfeatures = []\n[target]\nname = "y"\n')
    (fault,) = cli("spec", "check", spec, "--json", home=tmp_path).json["faults"]
    assert "at least 1 item" in fault


def test_a_file_without_a_label_says_how_to_name_one(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "x.csv"
    data.write_text("a,b\n1,2\n2,3\n", encoding="utf-8")
    done = cli("spec", "draft", data, home=tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "--target" in done.err


@pytest.mark.parametrize("table", ["features", "categories", "target"])
def test_the_schema_knows_every_table(cli: Cli, tmp_path: Path, table: str) -> None:
    assert table in json.loads(cli("spec", "schema", home=tmp_path).out)["properties"]


@pytest.mark.parametrize("command", ["up", "serve"])
def test_nothing_is_started_with_a_spec_that_is_not_valid(command: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text('name = "lathe"\ntitle = 3\n', encoding="utf-8")
    home = tmp_path / "home"
    done = run_command(command, PRESAGIO_HOME=str(home), PRESAGIO_MACHINE_SPEC=str(broken))
    assert done.returncode == 1
    assert f"machine spec {broken} is not valid" in done.stderr
    assert "line 2: title: a title is a text, or a table of texts by language" in done.stderr
    assert not home.exists()
