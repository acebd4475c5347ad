"""Fleets: which there are, what their things are called, and what a bad spec stops."""

from importlib.resources import files
from pathlib import Path

import pytest

from presagio.errors import InvalidSpecError, NotFoundError
from presagio.fleet import load_fleets
from presagio.settings import Settings

_PUMPS = """
name = "pumps"
title = "Pumps"
[[features]]
name = "pressure_bar"
[target]
name = "failed"
"""


def _settings(tmp_path: Path, *fleets: str) -> Settings:
    return Settings(home=tmp_path, fleets=fleets)


def test_the_default_fleet_has_the_names_and_prefixes_that_were_there_before(
    tmp_path: Path,
) -> None:
    fleet = load_fleets(Settings(home=tmp_path)).get()
    assert (fleet.name, fleet.model_name) == ("ai4i2020", "svm_prod")
    assert fleet.experiment == "machine_failure_prediction_svc"
    assert (fleet.prefixes.incoming, fleet.prefixes.reserved) == ("incoming/", ())
    assert fleet.named("csv_file_watcher") == "csv_file_watcher"


def test_another_fleet_has_its_own_and_the_default_one_keeps_out_of_them(tmp_path: Path) -> None:
    (tmp_path / "pumps.toml").write_text(_PUMPS, encoding="utf-8")
    fleets = load_fleets(_settings(tmp_path, "ai4i2020", str(tmp_path)))
    pumps = fleets.get("pumps")
    assert (pumps.model_name, pumps.experiment) == ("svm_pumps", "machine_failure_prediction_pumps")
    assert pumps.prefixes.incoming == "incoming/pumps/"
    assert pumps.prefixes.curated == "curated/pumps/"
    assert pumps.named("csv_file_watcher") == "csv_file_watcher_pumps"
    assert fleets.get().prefixes.reserved == ("incoming/pumps/",)


def test_a_bad_spec_stops_its_own_fleet_only(tmp_path: Path) -> None:
    (tmp_path / "pumps.toml").write_text(_PUMPS, encoding="utf-8")
    (tmp_path / "lathes.toml").write_text("name = lathes", encoding="utf-8")
    fleets = load_fleets(_settings(tmp_path, str(tmp_path)))
    assert [*fleets.fleets] == ["pumps"]
    with pytest.raises(InvalidSpecError, match=r"lathes\.toml is no TOML: .*line 1"):
        fleets.get("lathes")


def test_two_specs_of_one_name_are_one_fleet_and_a_fault(tmp_path: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_bytes((files("presagio.machine") / "specs" / "ai4i2020.toml").read_bytes())
    fleets = load_fleets(_settings(tmp_path, "ai4i2020", str(copy)))
    assert [*fleets.fleets] == ["ai4i2020"]
    assert "name ai4i2020 is that of ai4i2020 too" in fleets.faults[0].message


def test_an_unknown_fleet_is_told_with_the_known_ones(tmp_path: Path) -> None:
    fleets = load_fleets(_settings(tmp_path, "ai4i2020"))
    with pytest.raises(NotFoundError, match="no fleet pumps; known are: ai4i2020"):
        fleets.get("pumps")


def test_without_the_default_fleet_the_only_one_is_meant(tmp_path: Path) -> None:
    (tmp_path / "pumps.toml").write_text(_PUMPS, encoding="utf-8")
    assert load_fleets(_settings(tmp_path, str(tmp_path / "pumps.toml"))).get().name == "pumps"
    (tmp_path / "fans.toml").write_text(_PUMPS.replace("pumps", "fans"), encoding="utf-8")
    with pytest.raises(NotFoundError, match="no default fleet; name one of: fans, pumps"):
        load_fleets(_settings(tmp_path, str(tmp_path))).get()


def test_a_list_without_json_and_relative_paths_are_resolved_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleets").mkdir()
    settings = Settings.model_validate({"home": tmp_path, "fleets": "ai4i2020, fleets, x/y.toml"})
    assert settings.fleets == ("ai4i2020", str(tmp_path / "fleets"), str(tmp_path / "x/y.toml"))
