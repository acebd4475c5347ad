"""A registered model of engines that has a champion, trained once."""

from uuid import uuid4

import pytest

from presagio.ingest.checking import check_file
from presagio.registry.writer import open_registry
from presagio.settings import Settings
from presagio.storage.ledger import Ledger
from presagio.training.datasets.builder import dataset_from_frame
from presagio.training.search.grids import SMALL_GRID
from presagio.training.train import TrainedModel, train_model
from tests.arriving import Arriving, new_fleet
from tests.champions import register_champion
from tests.conftest import RunningServices
from tests.engines import engine_rows, engines


@pytest.fixture(scope="session")
def engine_model() -> TrainedModel:
    rows = check_file(engine_rows(15).write_csv().encode(), engines()).accepted
    return train_model(dataset_from_frame(rows, engines(), "engines"), engines(), grid=SMALL_GRID)


@pytest.fixture(scope="session")
def champion(
    services: RunningServices, engine_model: TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings whose registered model has a champion."""
    name = f"engines_{uuid4().hex[:8]}"
    changes = {"model_name": name, "experiment": name, "home": tmp_path_factory.mktemp("home")}
    settings = services.settings.model_copy(update=changes)
    register_champion(engine_model, open_registry(settings), tmp_path_factory.mktemp("files"))
    return settings


@pytest.fixture
def fleet(champion: Settings, ledger: Ledger) -> Arriving:
    return new_fleet(champion, ledger, model_name=champion.model_name)
