"""Download the AI4I 2020 data set from UCI.

S. Matzka, "AI4I 2020 Predictive Maintenance Dataset", UCI Machine Learning Repository, 2020,
https://doi.org/10.24432/C5HS5C, licence CC BY 4.0.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from presagio.errors import DownloadError, UnreadableFileError
from presagio.ingest.checking import check_file
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.sources import FETCHED_FILE

Progress = Callable[[int, int | None], None]
_TIMEOUT_S = 30.0
LARGEST_BYTES = 20 * 2**20


@dataclass(frozen=True)
class PublishedData:
    """A data set as it is published: where, and what it must turn out to be.

    Attributes
    ----------
    member
        The CSV file inside the zip archive.
    rows, labels
        Published counts of rows, and of rows for which a label is true.
    """

    url: str
    member: str
    rows: int
    labels: Mapping[str, int] = field(default_factory=dict)


AI4I = PublishedData(
    url="https://archive.ics.uci.edu/static/public/601/ai4i+2020+predictive+maintenance+dataset.zip",
    member="ai4i2020.csv",
    rows=10_000,
    labels={"machine_failure": 339, "twf": 46, "hdf": 115, "pwf": 95, "osf": 98, "rnf": 19},
)


def download(url: str, progress: Progress) -> bytes:
    """Return what an address sends, of ``LARGEST_BYTES`` at most.

    Raises
    ------
    DownloadError
        If it is more.
    """
    # Half a megabyte in all: a download that breaks off begins anew.
    body = bytearray()
    with httpx.stream("GET", url, timeout=_TIMEOUT_S, follow_redirects=True) as answer:
        answer.raise_for_status()
        length = answer.headers.get("Content-Length")
        for chunk in answer.iter_bytes():
            body += chunk
            progress(len(body), int(length) if length else None)
            if len(body) > LARGEST_BYTES:
                raise DownloadError(f"{url} sends more than {LARGEST_BYTES} bytes; not taken")
    return bytes(body)


def _member(packed: bytes, data: PublishedData) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if archive.getinfo(data.member).file_size > LARGEST_BYTES:
                raise DownloadError(f"{data.member} would unpack to over {LARGEST_BYTES} bytes")
            return archive.read(data.member)
    except (zipfile.BadZipFile, KeyError) as err:
        raise DownloadError(f"{data.url} did not bring a zip archive with {data.member}") from err


def _check(body: bytes, data: PublishedData, spec: MachineSpec) -> None:
    try:
        checked = check_file(body, spec)
    except UnreadableFileError as err:
        raise DownloadError(f"{data.member} from {data.url}: {err}") from err
    found = {"rows": len(checked.accepted)}
    found |= {name: int(checked.accepted[name].sum()) for name in data.labels}
    expected = {"rows": data.rows, **data.labels}
    if found != expected or len(checked.rejected):
        raise DownloadError(
            f"{data.member} from {data.url} is not the published data set: it has {found}, "
            f"expected {expected}"
        )


def fetch_data(
    folder: Path,
    data: PublishedData,
    spec: MachineSpec,
    *,
    sha256: str | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Path:
    """Download a data set and keep its CSV file, if it is the published one.

    The file is compared with the published counts and with its SHA-256: the one given or,
    without one, the one that was recorded beside it when it was first fetched.

    Parameters
    ----------
    folder
        Where the file is kept, as ``ai4i2020.csv``.
    data
        What is downloaded.
    spec
        The machine spec that its rows follow.
    sha256
        Expected digest of the CSV file.
    progress
        Called with (bytes done, bytes in all or None).

    Returns
    -------
    pathlib.Path
        The CSV file.

    Raises
    ------
    DownloadError
        If the download breaks off or brings something else; what was kept before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, record = folder / FETCHED_FILE, folder / f"{FETCHED_FILE}.sha256"
    try:
        body = _member(download(data.url, progress), data)
    except httpx.HTTPError as err:
        raise DownloadError(
            f"{data.url} could not be downloaded ({err}); call the command again. Without a "
            "network: presagio data generate, or set PRESAGIO_AI4I_CSV to a copy of the file"
        ) from err
    digest = hashlib.sha256(body).hexdigest()
    known = sha256 or (record.read_text(encoding="ascii").strip() if record.exists() else None)
    if known is not None and digest != known:
        raise DownloadError(f"{data.member} has SHA-256 {digest}, expected {known}")
    _check(body, data, spec)
    scratch = target.with_suffix(".new")
    scratch.write_bytes(body)
    scratch.replace(target)
    record.write_text(f"{digest}\n", encoding="ascii")
    return target
