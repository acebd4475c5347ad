"""Who asks behind proxies: what trusted ones say, and nothing that a client writes itself."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from presagio.machine.spec import MachineSpec
from presagio.serving.http.forwarded import Proxies
from presagio.serving.logs import JsonFormatter
from presagio.settings import Settings, load_settings
from tests.serving.conftest import Serve, alone

pytestmark = pytest.mark.unit

_BALANCER, _INNER = "10.0.0.1", "10.0.0.2"


def _proxies(*networks: str) -> Proxies:
    return Proxies(Settings(home=Path("/nowhere"), trusted_proxies=networks).trusted_proxies)


def _scope(peer: str, *lines: str, proto: str = "") -> dict[str, Any]:
    headers = [(b"host", b"api"), *((b"x-forwarded-for", line.encode("latin-1")) for line in lines)]
    if proto:
        headers.append((b"x-forwarded-proto", proto.encode()))
    return {"client": (peer, 4711), "scheme": "http", "headers": headers}


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        (_BALANCER, [], _BALANCER),
        (_BALANCER, ["192.0.2.7"], "192.0.2.7"),
        # What the client wrote stands left of what the balancer added, in one line or in two.
        (_BALANCER, ["203.0.113.66, 192.0.2.7"], "192.0.2.7"),
        (_BALANCER, ["203.0.113.66", "192.0.2.7"], "192.0.2.7"),
        (_BALANCER, ["10.0.0.2, 10.0.0.1, 192.0.2.7"], "192.0.2.7"),
        # Two proxies, each with a line of its own.
        (_INNER, ["192.0.2.7", _BALANCER], "192.0.2.7"),
        (_INNER, ["203.0.113.66, 192.0.2.7, 10.0.0.1"], "192.0.2.7"),
        # All of them are proxies: the request began at the first.
        (_INNER, [_BALANCER], _BALANCER),
        # Ports, brackets, version 4 within version 6.
        (_BALANCER, ["192.0.2.7:55555"], "192.0.2.7"),
        (_BALANCER, ["[2001:db8::7]:55555"], "2001:db8::7"),
        (_BALANCER, ["2001:db8::7"], "2001:db8::7"),
        (f"::ffff:{_BALANCER}", ["192.0.2.7"], "192.0.2.7"),
        (_INNER, [f"192.0.2.7, ::ffff:{_BALANCER}"], "192.0.2.7"),
        # What is no address ends the way.
        (_BALANCER, ["192.0.2.7, unknown"], _BALANCER),
        (_BALANCER, ["\xff\x00"], _BALANCER),
        (_BALANCER, [""], _BALANCER),
        (_BALANCER, ["1.2.3.4," * 10_000 + "192.0.2.7"], "192.0.2.7"),
        (_BALANCER, ["1.2.3.4," + "10.0.0.2," * 10_000 + "10.0.0.2"], "10.0.0.2"),
        # Nobody else is believed.
        ("192.0.2.9", ["203.0.113.66"], "192.0.2.9"),
        ("not an address", ["203.0.113.66"], "not an address"),
    ],
)
def test_the_client_is_the_last_one_that_is_no_trusted_proxy(
    peer: str, lines: list[str], client: str
) -> None:
    assert _proxies(_BALANCER, "10.0.0.2/31").client(_scope(peer, *lines)) == client


def test_without_trusted_proxies_no_header_is_looked_at() -> None:
    scope = _scope("127.0.0.1", "203.0.113.66", proto="https")
    _proxies().resolve(scope)
    assert (scope["client"], scope["scheme"]) == (("127.0.0.1", 4711), "http")


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("ftp", "http")],
)
def test_the_scheme_is_what_the_nearest_proxy_says(proto: str, scheme: str) -> None:
    scope = _scope(_BALANCER, "192.0.2.7", proto=proto)
    _proxies(_BALANCER).resolve(scope)
    assert (scope["client"][0], scope["scheme"]) == ("192.0.2.7", scheme)


@pytest.mark.parametrize("given", ["10.0.0.1, 10.1.0.0/16", '["10.0.0.1", "10.1.0.0/16"]'])
def test_proxies_are_named_with_commas_or_as_a_json_list(
    given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PRESAGIO_TRUSTED_PROXIES", given)
    assert list(map(str, load_settings(tmp_path).trusted_proxies)) == ["10.0.0.1/32", "10.1.0.0/16"]


def test_the_log_and_the_sign_in_page_name_the_client_and_its_scheme(
    serve: Serve, tmp_path: Path, spec: MachineSpec, caplog: pytest.LogCaptureFixture
) -> None:
    settings = alone(tmp_path, api_access_log="all", trusted_proxies=("127.0.0.0/8",))
    headers = {"X-Forwarded-For": "203.0.113.66, 192.0.2.7", "X-Forwarded-Proto": "https"}
    # A request is logged after its answer: all have been when the API has ended, and those of the
    # fixture, which asks for health, are not looked at.
    with caplog.at_level(logging.INFO, "presagio.serving.http.edge"), serve(settings) as client:
        body = {"request_id": 1, "features": dict(spec.example)}
        assert client.post("/predict", json=body, headers=headers).status_code == 200
        page = httpx.get(
            client.base_url.join("/model/card"), headers={**headers, "Accept": "text/html"}
        )
        assert f"https://{client.base_url.netloc.decode()}/model/card" in page.text
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    clients = {line["message"]: line["client"] for line in lines if "client" in line}
    clients = {asked: client for asked, client in clients.items() if "/health/" not in asked}
    assert clients == {"POST /predict 200": "192.0.2.7", "GET /model/card 401": "192.0.2.7"}
