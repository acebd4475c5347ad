"""Fleets that are added while the deployment runs, in a real bucket."""

from uuid import uuid4

import pytest

from presagio.errors import DataError, InvalidSpecError, NotFoundError
from presagio.fleet import LARGEST_SPEC
from presagio.settings import Settings
from presagio.storage.fleets import (
    add_fleet,
    find_fleet,
    other_names,
    read_fleets,
    remove_fleet,
)
from presagio.storage.objects import ObjectStore, open_store
from tests.conftest import RunningServices
from tests.pumps import PUMPS, pumps_called

pytestmark = pytest.mark.integration

_PUMPS = PUMPS.read_bytes()
_FANS = pumps_called("fans")


@pytest.fixture
def settings(services: RunningServices) -> Settings:
    bucket = f"fleets-{uuid4().hex[:8]}"
    return services.settings.model_copy(update={"data_bucket": bucket})


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    store = open_store(settings)
    store.create_bucket(settings.data_bucket)
    return store


def test_an_added_fleet_is_found_by_its_name(settings: Settings, store: ObjectStore) -> None:
    added = add_fleet(settings, store, _PUMPS, "pumps.toml")
    assert (added.name, added.settings.model_name) == ("pumps", "svm_pumps")
    assert list(read_fleets(settings, store).by_name) == ["ai4i2020", "pumps"]
    assert find_fleet(settings, "pumps").spec == added.spec
    assert find_fleet(settings).name == "ai4i2020"
    with pytest.raises(NotFoundError, match="there are: ai4i2020, pumps"):
        find_fleet(settings, "lathes")


def test_another_spec_takes_the_place_of_one_that_was_added(
    settings: Settings, store: ObjectStore
) -> None:
    add_fleet(settings, store, _PUMPS, "pumps.toml")
    add_fleet(settings, store, _PUMPS.replace(b'en = "', b'en = "New ', 1), "pumps.toml")
    assert find_fleet(settings, "pumps").spec.title.startswith("New ")


def test_a_removed_fleet_keeps_its_prefixes_and_may_come_back(
    settings: Settings, store: ObjectStore
) -> None:
    add_fleet(settings, store, _PUMPS, "pumps.toml")
    remove_fleet(settings, store, "pumps")
    fleets = read_fleets(settings, store)
    assert (list(fleets.by_name), fleets.removed) == (["ai4i2020"], frozenset({"pumps"}))
    assert other_names(settings, store) == {"pumps"}
    with pytest.raises(NotFoundError, match="no fleet pumps was added; there are: none"):
        remove_fleet(settings, store, "pumps")
    add_fleet(settings, store, _PUMPS, "pumps.toml")
    fleets = read_fleets(settings, store)
    assert (list(fleets.by_name), fleets.removed) == (["ai4i2020", "pumps"], frozenset())


def test_a_fleet_of_the_settings_is_changed_there(settings: Settings, store: ObjectStore) -> None:
    named = settings.model_copy(update={"fleets": (str(PUMPS),)})
    with pytest.raises(DataError, match=r"pumps\.toml, which the settings name"):
        add_fleet(named, store, _PUMPS, "sent")
    with pytest.raises(DataError, match="which the settings name"):
        remove_fleet(named, store, "pumps")
    with pytest.raises(DataError, match="which the settings name"):
        remove_fleet(settings, store, "ai4i2020")


def test_what_is_no_spec_is_refused_and_nothing_is_stored(
    settings: Settings, store: ObjectStore
) -> None:
    for text in (b"", b"\xff", b"name = 1", _PUMPS + b"x" * LARGEST_SPEC):
        with pytest.raises(InvalidSpecError):
            add_fleet(settings, store, text, "sent")
    assert list(store.list(settings.data_bucket)) == []


def test_a_spec_that_was_damaged_in_the_bucket_stops_its_own_fleet_only(
    settings: Settings, store: ObjectStore
) -> None:
    for text in (_PUMPS, _FANS):
        add_fleet(settings, store, text, "sent")
    # Under another name, too: it would write where the other one does.
    for damaged in (b"name = ", _FANS):
        store.write(settings.data_bucket, "fleets/pumps.toml", damaged)
        fleets = read_fleets(settings, store)
        assert list(fleets.by_name) == ["ai4i2020", "fans"]
        assert fleets.faults[0].source == f"{settings.data_bucket}/fleets/pumps.toml"
        assert other_names(settings, store) == {"fans", "pumps"}


def test_an_object_that_is_not_named_as_a_fleet_is_none(
    settings: Settings, store: ObjectStore
) -> None:
    for name in ("a b", "..", "UP", "feedback", "x/y", "x.toml", "a" * 65, "removed/UP", ""):
        store.write(settings.data_bucket, f"fleets/{name}.toml", _PUMPS)
    assert list(read_fleets(settings, store).by_name) == ["ai4i2020"]
    assert other_names(settings, store) == frozenset()
