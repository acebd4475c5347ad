"""Fleets: which there are by the settings, and what is each one's own."""

from pathlib import Path

import pytest

from presagio.errors import InvalidSpecError, NotFoundError
from presagio.fleet import load_fleets, make_fleet
from presagio.machine.spec import parse_spec
from presagio.settings import Settings, load_settings
from tests.pumps import PUMPS, pumps_called

_FANS = pumps_called("fans").decode()


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "pumps.toml").write_bytes(PUMPS.read_bytes())
    (folder / "fans.toml").write_text(_FANS, encoding="utf-8")
    return folder


def _settings(home: Path, *fleets: object) -> Settings:
    return Settings(home=home, fleets=tuple(map(str, fleets)))


def test_the_default_fleet_keeps_every_name_that_it_has_always_had(tmp_path: Path) -> None:
    fleets = load_fleets(Settings(home=tmp_path))
    assert list(fleets.by_name) == ["ai4i2020"]
    default = fleets.get()
    assert default is fleets.get("ai4i2020") is fleets.default
    settings = default.settings
    assert (settings.model_name, settings.experiment) == (
        "svm_prod", "machine_failure_prediction_svc",
    )  # fmt: skip
    assert settings.prefixes.incoming == "incoming/"
    assert settings.place("predictions/") == "predictions/"
    assert (settings.fleet, settings.fleet_route, settings.named("train_champion")) == (
        "", "", "train_champion",
    )  # fmt: skip


def test_another_fleet_has_names_and_places_of_its_own(specs: Path, tmp_path: Path) -> None:
    fleets = load_fleets(_settings(tmp_path, specs))
    assert list(fleets.by_name) == ["ai4i2020", "fans", "pumps"]
    assert fleets.other_names == {"fans", "pumps"}
    settings = fleets.get("pumps").settings
    assert settings.model_name == "svm_pumps"
    assert settings.experiment == "machine_failure_prediction_pumps"
    prefixes = settings.prefixes
    assert (prefixes.bucket, prefixes.curated_bucket) == ("csv-data", "data")
    assert prefixes.incoming == "incoming/pumps/"
    assert prefixes.archive == "archive/pumps/"
    assert prefixes.curated == "curated/pumps/"
    assert settings.place("predictions/") == "predictions/pumps/"
    assert settings.named("train_champion") == "train_champion_pumps"
    assert settings.fleet_route == "/fleets/pumps"
    other = fleets.get("fans").settings
    assert len({s.model_cache for s in (settings, other, fleets.get().settings)}) == 3
    # What belongs to the deployment is everybody's.
    assert settings.accounts_file == other.accounts_file


def test_a_bad_spec_stops_its_own_fleet_only_and_is_named_with_its_line(
    specs: Path, tmp_path: Path
) -> None:
    (specs / "fans.toml").write_text(_FANS.replace('missing = "median"', 'missing = "guess"'))
    fleets = load_fleets(_settings(tmp_path, specs))
    assert list(fleets.by_name) == ["ai4i2020", "pumps"]
    (fault,) = fleets.faults
    assert (fault.name, fault.source) == ("fans", str(specs / "fans.toml"))
    assert f"{specs / 'fans.toml'} is not valid:\n  line " in fault.message
    assert str(fault.sentence) == fault.message
    with pytest.raises(InvalidSpecError, match="line"):
        fleets.get("fans")
    # Its prefixes stay its own meanwhile.
    assert "fans" in fleets.other_names


def test_the_default_spec_may_be_the_bad_one(specs: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    broken = str(tmp_path / "broken.toml")
    fleets = load_fleets(Settings(home=tmp_path, machine_spec=broken, fleets=(str(specs),)))
    assert list(fleets.by_name) == ["fans", "pumps"]
    assert fleets.default is None
    fleets.check_any()
    with pytest.raises(InvalidSpecError, match=r"broken\.toml is no TOML"):
        fleets.get()
    with pytest.raises(InvalidSpecError, match=r"broken\.toml is no TOML"):
        load_fleets(Settings(home=tmp_path, machine_spec=broken)).check_any()


def test_two_specs_of_one_name_are_not_mixed_up(specs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "again.toml"
    copy.write_bytes(PUMPS.read_bytes())
    fleets = load_fleets(_settings(tmp_path, specs, copy))
    assert fleets.get("pumps").source == str(specs / "pumps.toml")
    assert fleets.faults[0].source == str(copy)
    assert "that of" in fleets.faults[0].message
    assert str(fleets.faults[0].sentence) == fleets.faults[0].message


def test_a_spec_that_is_named_twice_is_one_fleet(specs: Path, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, machine_spec=str(specs / "pumps.toml"), fleets=(str(specs), str(specs))
    )
    fleets = load_fleets(settings)
    assert fleets.faults == ()
    assert list(fleets.by_name) == ["pumps", "fans"]
    assert fleets.get().name == "pumps"
    assert fleets.get().is_default


def test_an_unknown_fleet_is_refused_with_the_known_ones(specs: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no fleet lathes; there are: ai4i2020, fans, pumps"):
        load_fleets(_settings(tmp_path, specs)).get("lathes")


@pytest.mark.parametrize("name", ["feedback", "a" * 65])
def test_a_name_that_would_clash_is_refused(name: str, tmp_path: Path) -> None:
    spec = parse_spec(_FANS.replace('"fans"', f'"{name}"', 1).encode(), "x.toml")
    with pytest.raises(InvalidSpecError, match="cannot be called"):
        make_fleet(spec, Settings(home=tmp_path), "x.toml")


@pytest.mark.parametrize("form", ["{0}, {1}", '["{0}", "{1}"]', "{0},{1},"])
def test_fleets_are_a_list_and_paths_are_made_absolute(
    form: str, specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRESAGIO_FLEETS", form.format("specs", "specs/pumps.toml"))
    settings = load_settings(tmp_path)
    assert settings.fleets == (str(specs), str(specs / "pumps.toml"))
