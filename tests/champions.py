"""A trained model made champion without being asked, for tests of what comes after."""

from pathlib import Path

from presagio.registry.versions import RegisteredVersion
from presagio.registry.writer import Registry
from presagio.training.export.registration import register_model
from presagio.training.train import TrainedModel


def register_champion(model: TrainedModel, registry: Registry, folder: Path) -> RegisteredVersion:
    registered = register_model(model, registry, folder)
    registry.assign("champion", registered)
    return registered
