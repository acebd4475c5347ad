"""Turbofan engines from a real HTTP server, which stands in for NASA's."""

import gzip
import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from presagio.errors import DownloadError
from presagio.training.datasets.turbofan import TURBOFAN, PublishedSeries, fetch_turbofan
from tests.engines import turbofan
from tests.training.datasets.test_download import Server, server

__all__ = ["server"]
_SERIES = "1 1 -0.0007 -0.0004 100.0 " + " ".join(["518.670"] * 21) + "  \n"
_HEADER = "unit,cycle,setting_1,setting_2,setting_3," + ",".join(
    f"sensor_{i + 1}" for i in range(21)
)


def _packed(files: dict[str, str]) -> bytes:
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("6. Turbofan/CMAPSSData.zip", inner.getvalue())
    return outer.getvalue()


@pytest.fixture
def published(server: Server) -> PublishedSeries:
    server.body = _packed({"train_FD001.txt": _SERIES, "RUL_FD001.txt": "112 \n98 \n"})
    csv = (f"{_HEADER}\n1,1,-0.0007,-0.0004,100.0," + ",".join(["518.670"] * 21) + "\n").encode()
    digests = {"train_FD001.csv": csv, "RUL_FD001.csv": b"unit,rul\n1,112\n2,98\n"}
    return PublishedSeries(
        server.url, {n: hashlib.sha256(body).hexdigest() for n, body in digests.items()}
    )


def test_files_get_names_of_columns_as_they_were_written(
    published: PublishedSeries, tmp_path: Path
) -> None:
    train, left = fetch_turbofan(tmp_path / "turbofan", published)
    assert train.read_text(encoding="ascii").splitlines()[0] == _HEADER
    assert left.read_text(encoding="ascii") == "unit,rul\n1,112\n2,98\n"


def test_other_files_are_refused_and_nothing_is_kept(
    published: PublishedSeries, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "turbofan"
    wrong = replace(published, sha256=dict(published.sha256) | {"RUL_FD001.csv": "0" * 64})
    with pytest.raises(DownloadError, match=r"RUL_FD001.csv .* has SHA-256"):
        fetch_turbofan(folder, wrong)
    with pytest.raises(DownloadError, match=r"brought no train_FD004.txt"):
        fetch_turbofan(folder, replace(published, sha256={"train_FD004.csv": ""}))
    server.body = b"<html>moved</html>"
    with pytest.raises(DownloadError, match="did not bring a zip archive"):
        fetch_turbofan(folder, published)
    server.stop_after, server.body = 3, b"x" * 1000
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch_turbofan(folder, published)
    assert not folder.exists()


def test_the_published_files_are_those_at_hand(server: Server, tmp_path: Path) -> None:
    """What NASA publishes has blanks between numbers; here they are put back."""
    files = dict[str, str]()
    for name in TURBOFAN.sha256:
        path = turbofan(name)
        packed = path if path.exists() else path.with_name(f"{name}.gz")
        body = packed.read_bytes() if packed == path else gzip.decompress(packed.read_bytes())
        lines = body.decode().splitlines()[1:]
        if name.startswith("RUL"):
            lines = [line.split(",")[1] for line in lines]
        text = "".join(f"{line.replace(',', ' ')} \n" for line in lines)
        files[name.replace(".csv", ".txt")] = text
    server.body = _packed(files)
    paths = fetch_turbofan(tmp_path, replace(TURBOFAN, url=server.url))
    assert [path.name for path in paths] == list(TURBOFAN.sha256)
