"""The command that downloads real data sets."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, Home, print_json, progress, say
from presagio.machine.spec import load_spec
from presagio.training.datasets.download import AI4I, Progress, fetch_data
from presagio.training.datasets.turbofan import FOLDER, fetch_turbofan


class PublicSet(StrEnum):
    """A data set that can be downloaded."""

    ai4i = "ai4i"
    turbofan = "turbofan"


_ABOUT = {
    PublicSet.ai4i: ("UCI", "AI4I 2020 Predictive Maintenance Dataset, S. Matzka, CC BY 4.0"),
    PublicSet.turbofan: (
        "NASA",
        "Turbofan Engine Degradation Simulation Data Set, A. Saxena and K. Goebel, NASA 2008",
    ),
}


def fetch(
    data_set: Annotated[
        PublicSet,
        typer.Argument(
            metavar="[SET]",
            help="ai4i: milling machine, one reading at a time (UCI). turbofan: engines until they "
            "fail (NASA).",
        ),
    ] = PublicSet.ai4i,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Download a real data set, checked by SHA-256: ai4i or turbofan."""
    settings, (source, credit) = Parts(home).settings, _ABOUT[data_set]
    with progress(as_json=as_json) as bar:
        task = bar.add_task(f"Downloading from {source}", total=None)
        paths = _fetch(
            data_set, settings.data_folder, settings.ai4i_sha256,
            lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if as_json:
        print_json({"path": paths[0], "paths": paths})
        return
    say("\n".join([*map(str, paths), credit]))


def _fetch(data_set: PublicSet, folder: Path, sha256: str | None, advance: Progress) -> list[Path]:
    if data_set is PublicSet.turbofan:
        return fetch_turbofan(folder / FOLDER, progress=advance)
    return [fetch_data(folder, AI4I, load_spec(), sha256=sha256, progress=advance)]
