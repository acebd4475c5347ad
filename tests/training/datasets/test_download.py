"""A real HTTP server stands in for UCI, which tests cannot rely on."""

import contextlib
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from presagio.errors import DownloadError
from presagio.machine.simulation import simulate
from presagio.machine.spec import MachineSpec
from presagio.training.datasets.download import AI4I, PublishedData, fetch_data


@dataclass
class Server:
    url: str
    body: bytes = b""
    stop_after: int | None = None


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                # Who has read enough closes the connection.
                self.wfile.write(state.body[: state.stop_after])
            self.close_connection = True

        def log_message(self, *_args: object) -> None: ...

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{listener.server_port}/data.zip")
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield state
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def rows(spec: MachineSpec) -> bytes:
    return pl.concat(simulate(spec, 1000)).write_csv().encode()


@pytest.fixture
def published(server: Server, rows: bytes) -> PublishedData:
    server.body = _zip(rows)
    failures = int(pl.read_csv(rows)["machine_failure"].sum())
    return PublishedData(server.url, "ai4i2020.csv", 1000, {"machine_failure": failures})


def _zip(body: bytes, member: str = "ai4i2020.csv") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, body)
    return file.getvalue()


def test_the_file_is_kept_with_its_digest(
    spec: MachineSpec, published: PublishedData, rows: bytes, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch_data(tmp_path, published, spec, progress=lambda *a: seen.append(a))
    assert path.read_bytes() == rows
    recorded = (tmp_path / "ai4i2020.csv.sha256").read_text(encoding="ascii").strip()
    assert recorded == hashlib.sha256(rows).hexdigest()
    assert seen[-1][0] == seen[-1][1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ai4i2020.csv", "ai4i2020.csv.sha256"]


def test_a_broken_download_leaves_nothing_and_can_be_tried_again(
    spec: MachineSpec, server: Server, published: PublishedData, rows: bytes, tmp_path: Path
) -> None:
    server.stop_after = 5000
    with pytest.raises(DownloadError, match="call the command again"):
        fetch_data(tmp_path, published, spec)
    assert list(tmp_path.iterdir()) == []
    server.stop_after = None
    assert fetch_data(tmp_path, published, spec).read_bytes() == rows


def test_more_bytes_than_are_taken_end_it(
    spec: MachineSpec, server: Server, published: PublishedData, tmp_path: Path
) -> None:
    server.body = bytes(21 << 20)
    with pytest.raises(DownloadError, match="sends more than"):
        fetch_data(tmp_path, published, spec)


def test_another_digest_than_expected_is_refused(
    spec: MachineSpec, published: PublishedData, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="expected 000"):
        fetch_data(tmp_path, published, spec, sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_the_first_time_are_refused(
    spec: MachineSpec, server: Server, published: PublishedData, rows: bytes, tmp_path: Path
) -> None:
    fetch_data(tmp_path, published, spec)
    server.body = _zip(rows + b"\n")
    with pytest.raises(DownloadError, match="has SHA-256"):
        fetch_data(tmp_path, published, spec)
    assert (tmp_path / "ai4i2020.csv").read_bytes() == rows


def test_other_rows_than_published_are_refused(
    spec: MachineSpec, published: PublishedData, tmp_path: Path
) -> None:
    wrong = PublishedData(published.url, published.member, 999, published.labels)
    with pytest.raises(DownloadError, match="not the published data set"):
        fetch_data(tmp_path, wrong, spec)


@pytest.mark.parametrize("body", [b"no zip", _zip(b"x", "other.csv"), _zip(b"no,csv\n1,2\n")])
def test_something_else_is_refused(
    spec: MachineSpec, server: Server, published: PublishedData, body: bytes, tmp_path: Path
) -> None:
    server.body = body
    with pytest.raises(DownloadError):
        fetch_data(tmp_path, published, spec)


def test_no_server_says_what_to_do(spec: MachineSpec, tmp_path: Path) -> None:
    away = PublishedData("http://127.0.0.1:9/data.zip", "ai4i2020.csv", 1)
    with pytest.raises(DownloadError, match="presagio data generate"):
        fetch_data(tmp_path, away, spec)


def test_published_counts_of_the_real_data_are_those_of_the_paper() -> None:
    assert AI4I.rows == 10_000
    assert AI4I.labels["machine_failure"] == 339
