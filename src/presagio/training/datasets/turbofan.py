"""Download turbofan engines that ran until they failed, as CSV files with named columns.

A. Saxena and K. Goebel, "Turbofan Engine Degradation Simulation Data Set", NASA Ames Prognostics
Data Repository, 2008; A. Saxena, K. Goebel, D. Simon and N. Eklund, "Damage Propagation Modeling
for Aircraft Engine Run-to-Failure Simulation", PHM 2008. Open data of NASA.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from presagio.errors import DownloadError
from presagio.training.datasets.download import LARGEST_BYTES, Progress, download

FOLDER = "turbofan"
_SETTINGS, _SENSORS = 3, 21
_SERIES = (
    "unit", "cycle", *(f"setting_{i + 1}" for i in range(_SETTINGS)),
    *(f"sensor_{i + 1}" for i in range(_SENSORS)),
)  # fmt: skip


@dataclass(frozen=True)
class PublishedSeries:
    """Where the set is, and what its files must turn out to be.

    Attributes
    ----------
    url
        Of a zip archive, which may hold the archive with the files.
    sha256
        Of each CSV file that is made, by its name.
    """

    url: str
    sha256: Mapping[str, str]


TURBOFAN = PublishedSeries(
    url="https://phm-datasets.s3.amazonaws.com/NASA/"
    "6.+Turbofan+Engine+Degradation+Simulation+Data+Set.zip",
    sha256={
        "train_FD001.csv": "979f37bfda97904f44b335280a095ca7cd0cc08647d42449c0f9ceed05405b4c",
        "test_FD001.csv": "9cc36d3344229a7191fbb04478aa3e4e7f201947a486b6bf2646f43952bf2090",
        "RUL_FD001.csv": "eb3558533c85690212219b0964f74ed5871afae27b1aa86a0ddd42abff63e004",
        "train_FD004.csv": "a3d074c4f9c60e98c9367356a233c61665007a1b55b72bd5af142b3c7670196e",
    },
)


def _texts(packed: bytes, *, nested: bool = False) -> dict[str, bytes]:
    """Return the text files of an archive by their names, and those of archives within it."""
    found = dict[str, bytes]()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for info in archive.infolist():
            name = info.filename.rpartition("/")[2]
            inner = name.lower().endswith(".zip") and not nested
            if not inner and not name.endswith(".txt"):
                continue
            if info.file_size > LARGEST_BYTES:
                raise DownloadError(f"{name} would unpack to over {LARGEST_BYTES} bytes")
            body = archive.read(info)
            found |= _texts(body, nested=True) if inner else {name: body}
    return found


def _as_csv(name: str, text: bytes) -> bytes:
    """Return a file of numbers between blanks as CSV; of remaining lives one a unit, in order."""
    rows = [line.split() for line in text.decode("ascii", "replace").splitlines() if line.strip()]
    header: tuple[str, ...] = _SERIES
    if name.startswith("RUL"):
        header, rows = ("unit", "rul"), [[str(i + 1), *row] for i, row in enumerate(rows)]
    return "".join(",".join(row) + "\n" for row in [header, *rows]).encode()


def fetch_turbofan(
    folder: Path, data: PublishedSeries = TURBOFAN, *,
    progress: Progress = lambda _done, _total: None,
) -> list[Path]:  # fmt: skip
    """Download the set and keep its files, if they are the published ones.

    Parameters
    ----------
    folder
        Where they are kept.
    data
        What is downloaded.
    progress
        Called with (bytes done, bytes in all or None).

    Returns
    -------
    list of pathlib.Path
        The CSV files.

    Raises
    ------
    DownloadError
        If the download breaks off or brings something else; what was kept before stays.
    """
    try:
        texts = _texts(download(data.url, progress))
    except httpx.HTTPError as err:
        raise DownloadError(
            f"{data.url} could not be downloaded ({err}); call the command again. Without a "
            "network: presagio data generate, for a fleet with [unit] and [time]"
        ) from err
    except zipfile.BadZipFile as err:
        raise DownloadError(f"{data.url} did not bring a zip archive") from err
    made = dict[str, bytes]()
    for name, sha256 in data.sha256.items():
        source = f"{name.removesuffix('.csv')}.txt"
        if source not in texts:
            raise DownloadError(f"{data.url} brought no {source}")
        made[name] = _as_csv(name, texts[source])
        if (found := hashlib.sha256(made[name]).hexdigest()) != sha256:
            raise DownloadError(f"{name} of {data.url} has SHA-256 {found}, expected {sha256}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in made.items():
        scratch = folder / f"{name}.new"
        scratch.write_bytes(body)
        scratch.replace(folder / name)
    return [folder / name for name in made]
