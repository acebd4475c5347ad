import stat
from dataclasses import astuple
from pathlib import Path

import pytest

from presagio.errors import StackError
from presagio.stack.layout import Layout, Ports


def test_an_offset_moves_every_port() -> None:
    assert astuple(Ports().moved(100)) == (8100, 8180, 5100, 9110, 5532)


def test_the_described_ports_are_the_default() -> None:
    assert astuple(Ports()) == (8000, 8080, 5000, 9010, 5432)


def test_single_ports_can_be_changed() -> None:
    ports = Ports().with_changes(["api=8001", "s3=9011"])
    assert (ports.api, ports.s3, ports.mlflow) == (8001, 9011, 5000)
    assert ports.url("api") == "http://127.0.0.1:8001"


@pytest.mark.parametrize("change", ["api", "api=", "api=x", "api=0", "api=70000", "web=80", "=1"])
def test_what_is_no_port_is_refused(change: str) -> None:
    with pytest.raises(StackError, match="write SERVICE=PORT"):
        Ports().with_changes([change])


def test_others_can_pass_through_the_home_but_not_look_into_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home")
    layout.create()
    layout.create()
    assert stat.S_IMODE(layout.home.stat().st_mode) == 0o711
    assert stat.S_IMODE(layout.logs.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.objects.stat().st_mode) == 0o700
