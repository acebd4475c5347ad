"""Answers that MLflow would never give: each is one error, in bounded time and memory."""

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from presagio.errors import RegistryError
from presagio.inference.predictor import fallback_folder
from presagio.registry import cache as caching
from presagio.registry.reader import RegistryReader
from tests.registry.liar import MODEL, Handler, Lie, Registry, answer, says, serve_registry


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with serve_registry() as registry:
        registry.champion = registry.register(fallback_folder())
        yield registry


@pytest.fixture
def reader(registry: Registry) -> Iterator[RegistryReader]:
    yield RegistryReader(
        registry.url, MODEL, timeout_s=0.4, account=("us:er", "pass"), download_s=0.4,
        download_bytes=1 << 20,
    )  # fmt: skip
    registry.lie = None


ALIAS, RUN, FILE = "registered-models/alias", "runs/get", "mlflow-artifacts"


def _trickles(path: str, *, headers_first: bool) -> Lie:
    """Send a byte now and then, for minutes if one lets it."""

    def lie(handler: Handler) -> bool:
        if path not in handler.path:
            return False
        if headers_first:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            handler.wfile.write(b" " if headers_first else b"H")
            handler.wfile.flush()
            time.sleep(0.05)
        return True

    return lie


def _trickles_status(handler: Handler) -> bool:
    for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
        handler.wfile.write(bytes([letter]))
        handler.wfile.flush()
        time.sleep(0.05)
    return True


def _never_ends(path: str) -> Lie:
    def lie(handler: Handler) -> bool:
        if path not in handler.path:
            return False
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")

    return lie


def _informs(handler: Handler) -> bool:
    """Send interim answers without end."""
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _is_silent(handler: Handler) -> bool:
    time.sleep(2)
    return bool(handler)


def _no_http(handler: Handler) -> bool:
    handler.wfile.write(b"\x00\xff garbage\r\n" * 100)
    return True


def _cut_short(handler: Handler) -> bool:
    answer(handler, b'{"model_version":', headers={"Content-Length": "1000"})
    return True


def _many_headers(handler: Handler) -> bool:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-Header: value\r\n" * 1000)


def _version(**changes: Any) -> Callable[[Registry], Lie]:
    return lambda registry: says(ALIAS, registry.alias_answer(**changes))


def _alias(body: bytes, status: int = 200, **headers: str) -> Callable[[Registry], Lie]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: says(ALIAS, body, status, named)


def _uri(uri: Any) -> Callable[[Registry], Lie]:
    return lambda _: says(RUN, json.dumps({"run": {"info": {"artifact_uri": uri}}}).encode())


def _raw(lie: Lie) -> Callable[[Registry], Lie]:
    return lambda _: lie


_BOMB = gzip.compress(b" " * (64 << 20))
LIES: dict[str, Callable[[Registry], Lie]] = {
    "an empty object": _alias(b"{}"),
    "a list": _alias(b"[]"),
    "null": _alias(b"null"),
    "nothing": _alias(b""),
    "no content": _alias(b"", 204),
    "a page": _alias(b"<html>sign in</html>"),
    "no version": _alias(b'{"model_version": null}'),
    "a list for a version": _alias(b'{"model_version": []}'),
    "a version of another model": _version(name="other"),
    "no name": _version(name=None),
    "a number of a version that is none": _version(version="../../etc"),
    "an object for a number": _version(version={}),
    "a list for a run": _version(run_id=["run"]),
    "a run's id of a megabyte": _version(run_id="r" * 1_000_000),
    "tags as an object": _version(tags={"key": "value"}),
    "tags that are numbers": _version(tags=[1, 2]),
    "a tag without a key": _version(tags=[{"value": "x"}]),
    "a tag with a list": _version(tags=[{"key": "a", "value": ["b"]}]),
    "half a million tags": _version(tags=[{}] * 500_000),
    "a digest that is none": _version(
        tags=[{"key": "presagio.artifact_sha256", "value": "../../x"}]
    ),
    "a time beyond all": _version(creation_timestamp=10**400),
    "a time before all": _version(creation_timestamp=-(10**18)),
    "NaN": _alias(b'{"model_version": NaN}'),
    "bytes that are no UTF-8": _alias(b'{"model_version": "\xff\xfe"}'),
    "UTF-16": _alias('{"model_version": {}}'.encode("utf-16")),
    "half a surrogate": _alias(rb'{"model_version": {"name": "\ud800"}}'),
    "100,000 lists in each other": _alias(b"[" * 100_000),
    "100,000 closed lists": _alias(b"[" * 100_000 + b"]" * 100_000),
    "more than two megabytes": _alias(b" " * (3 << 20)),
    "an answer without end": _raw(_never_ends(ALIAS)),
    "headers without end": _raw(_many_headers),
    "interim answers without end": _raw(_informs),
    "a body byte by byte": _raw(_trickles(ALIAS, headers_first=True)),
    "a status byte by byte": _raw(_trickles(ALIAS, headers_first=False)),
    "a header byte by byte": _raw(_trickles_status),
    "silence": _raw(_is_silent),
    "no HTTP": _raw(_no_http),
    "half of what is announced": _raw(_cut_short),
    "a way to elsewhere": _alias(b"{}", 302, Location="http://127.0.0.1:1/api"),
    "a way to itself": _alias(b"{}", 307, Location="/"),
    "a packed bomb": _alias(_BOMB, Content_Encoding="gzip"),
    "a packing that does not exist": _alias(b"{}", Content_Encoding="x-new"),
    "an error as a page": _alias(b"<html>" * 1000, 500),
    "an error with odd parts": _alias(b'{"error_code": {}, "message": []}', 400),
    "an error of ten megabytes": _alias(b"x" * (10 << 20), 500),
    "an empty run": _raw(says(RUN, b"{}")),
    "a run without artifacts": _raw(says(RUN, b'{"run": {"info": {}}}')),
    "artifacts at a number": _uri(7),
    "artifacts at no address": _uri("mlflow-artifacts://[x"),
    "artifacts outside of the root": _uri("mlflow-artifacts:/a/../../../x"),
    "artifacts outside of the root, quoted": _uri("mlflow-artifacts:/a/%2e%2e/x"),
    "artifacts elsewhere": _uri("file:///etc"),
    "a file that is not there": _raw(says("model.onnx", b"{}", 404)),
    "a file without end": _raw(_never_ends(FILE)),
    "a file byte by byte": _raw(_trickles(FILE, headers_first=True)),
    "a file at another place": _raw(says(FILE, b"", 302, {"Location": "file:///etc/passwd"})),
    "a packed file": _raw(says(FILE, _BOMB, 200, {"Content-Encoding": "gzip"})),
}


@pytest.mark.parametrize("kind", LIES)
def test_a_lie_is_a_registry_error_and_soon(
    registry: Registry, reader: RegistryReader, tmp_path: Path, kind: str
) -> None:
    registry.lie, began = LIES[kind](registry), time.monotonic()
    with pytest.raises(RegistryError) as refused:
        reader.fetch(reader.resolve(), tmp_path / "cache")
    # Far from what the liars would take: minutes, or for ever.
    assert time.monotonic() - began < 20
    message = str(refused.value)
    assert message.isprintable()
    assert len(message) < 1000
    assert [path.name for path in tmp_path.glob("cache/*")] == []
    registry.lie = None
    patient = RegistryReader(registry.url, MODEL, timeout_s=20, account=None)
    patient.fetch(patient.resolve(), tmp_path / "cache")


def _listing(path: str, body: bytes) -> Lie:
    return says(path, body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("registered-models/get", b"{}"),
        ("registered-models/get", b'{"registered_model": {"aliases": [null]}}'),
        ("registered-models/get", b'{"registered_model": {"aliases": {"champion": "1"}}}'),
        ("model-versions/search", b"[]"),
        ("model-versions/search", b'{"model_versions": [null]}'),
        ("model-versions/search", b'{"model_versions": {"0": {}}}'),
        ("model-versions/search", b'{"model_versions": [{"name": "other", "version": "1"}]}'),
        ("runs/get", b'{"run": {"info": {"artifact_uri": ""}, "data": {"metrics": [1]}}}'),
        ("runs/get", b'{"run": null}'),
    ],
)
def test_a_listing_with_odd_entries_is_a_registry_error(
    registry: Registry, reader: RegistryReader, path: str, body: bytes
) -> None:
    registry.lie = _listing(path, body)
    with pytest.raises(RegistryError):
        reader.listing()
    registry.lie = None
    assert [listed.version.version for listed in reader.listing()] == ["1"]


def test_what_is_not_known_may_be_left_out_or_null(
    registry: Registry, reader: RegistryReader
) -> None:
    """Protocol buffers leave out what is empty, and a metric may be undefined."""
    data = {
        "metrics": [{"key": "f1", "value": 0.5}, {"key": "auc", "value": "NaN"}],
        "tags": [{"key": "empty"}, {"key": "none", "value": None}],
    }
    run = {"run": {"info": {"artifact_uri": "", "new": 1}, "data": data}}
    registry.lie = says(RUN, json.dumps(run).encode())
    (listed,) = reader.listing()
    assert listed.metrics == {"f1": 0.5}
    assert {name: listed.tags[name] for name in ("empty", "none")} == {"empty": "", "none": ""}
    registry.lie = says("model-versions/search", b"{}")
    assert reader.listing() == []


def test_a_server_that_never_accepts_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        reader = RegistryReader(url, MODEL, timeout_s=0.2, account=None)
        with pytest.raises(RegistryError, match="look up"):
            reader.resolve()


@pytest.mark.parametrize("run_id", ["stranger/../../victim", "../victim", "/victim", "..", "a\0b"])
def test_no_name_from_outside_becomes_a_path(
    registry: Registry, reader: RegistryReader, tmp_path: Path, run_id: str
) -> None:
    victim, cache = tmp_path / "victim", tmp_path / "cache"
    victim.mkdir()
    (victim / "kept").touch()
    registry.champion = registry.register(fallback_folder(), run_id=run_id)
    try:
        folder = reader.fetch(reader.resolve(), cache)
        assert reader.fetch(reader.resolve(), cache, anew=True) == folder
    finally:
        del registry.versions[registry.champion]
        registry.champion = "1"
    assert (victim / "kept").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "cache"}
    assert [path.name for path in cache.iterdir()] == [folder.name]
    assert len(folder.name) == 64


def test_only_folders_of_the_cache_are_removed(tmp_path: Path) -> None:
    victim, cache = tmp_path / "victim", tmp_path / "cache"
    for folder in (victim, cache / "inner" / "deep"):
        folder.mkdir(parents=True)
    (cache / "link").symlink_to(victim)
    for odd in (victim, cache, cache / "..", cache / "inner" / "deep", cache / "../victim", Path()):
        with pytest.raises(ValueError, match="not a folder of the cache"):
            caching.remove(cache, odd)
    for name in ("link", "inner", "absent"):
        caching.remove(cache, cache / name)
    assert list(cache.iterdir()) == []
    assert victim.is_dir()


def test_a_link_in_the_cache_is_not_followed(reader: RegistryReader, tmp_path: Path) -> None:
    victim, cache, version = tmp_path / "victim", tmp_path / "cache", reader.resolve()
    victim.mkdir()
    cache.mkdir()
    caching.folder_of(cache, version).symlink_to(victim)
    folder = reader.fetch(version, cache)
    assert not folder.is_symlink()
    assert (folder / "manifest.json").is_file()
    assert list(victim.iterdir()) == []


def test_the_cache_keeps_what_was_used_last(reader: RegistryReader, tmp_path: Path) -> None:
    first = reader.fetch(reader.resolve(), tmp_path)
    for number in range(20):
        version = replace(reader.resolve(), version=str(100 + number))
        os.utime(reader.fetch(version, tmp_path), (number, number))
        caching.touch(first)
    assert first.is_dir()
    assert len(list(tmp_path.iterdir())) == 16


def test_answers_that_take_all_their_time_share_no_thread(
    registry: Registry, reader: RegistryReader
) -> None:
    """Each exchange has a connection of its own: one that hangs holds up none that does not."""
    hangs = _trickles("name=slow", headers_first=True)
    registry.lie = hangs
    slow = RegistryReader(registry.url, "slow", timeout_s=1.0, account=None)
    failed: list[RegistryError] = []

    def ask() -> None:
        try:
            slow.resolve()
        except RegistryError as err:
            failed.append(err)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert reader.resolve().version == "1"
    assert failed == []
    for thread in threads:
        thread.join()
    assert len(failed) == 5
