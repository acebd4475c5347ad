"""What runs work that has many parts, as commands are told: processes of this machine, or Ray."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from presagio.settings import Settings

if TYPE_CHECKING:
    from presagio.scoring.engine import Engine

# ruff: noqa: PLC0415 - half a second that `train --unless-champion` does not wait for; Ray is an
# extra of its own, and most installations have none.


class EngineName(StrEnum):
    """What runs the work."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    EngineName,
    typer.Option("--engine", help="Processes of this machine, or tasks of a Ray cluster."),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address", metavar="HOST:PORT",
        help="The Ray cluster; without one, Ray is started on this machine alone.",
    ),
]  # fmt: skip


@contextmanager
def opened_engine(
    name: EngineName, settings: Settings, workers: int | None, ray_address: str | None, *,
    memory_bytes: int | None = None,
) -> Iterator["Engine"]:  # fmt: skip
    """Open what a command's options name.

    Parameters
    ----------
    name, ray_address
        The options.
    settings
        What tasks are given.
    workers
        How many at a time; one a processor where it is not given.
    memory_bytes
        As of :class:`.engine.LocalEngine`.

    Raises
    ------
    SettingsError, ResourceError
        As of :func:`.cluster.opened_cluster`.
    """
    if ray_address is not None and name is not EngineName.ray:
        raise typer.BadParameter("--ray-address goes with --engine ray")
    if name is EngineName.local:
        from presagio.scoring.engine import LocalEngine, cores

        yield LocalEngine(settings, workers or cores(), memory_bytes)
        return
    from presagio.scoring.cluster import opened_cluster

    with opened_cluster(settings, ray_address, workers) as engine:
        yield engine
