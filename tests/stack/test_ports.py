import socket
from dataclasses import astuple

import pytest

from presagio.errors import StackError
from presagio.stack.ports import Ports, check_ports, free_port, free_ports


def test_an_offset_moves_every_port() -> None:
    assert astuple(Ports().moved(100)) == (8100, 8150, 8180, 5100, 9110, 5532, 6479)


def test_the_described_ports_are_the_default() -> None:
    assert astuple(Ports()) == (8000, 8050, 8080, 5000, 9010, 5432, 6379)


def test_single_ports_can_be_changed() -> None:
    changed = Ports().with_changes(["api=8001", "s3=9011"])
    assert (changed.api, changed.s3, changed.mlflow) == (8001, 9011, 5000)
    assert changed.url("api") == "http://127.0.0.1:8001"


@pytest.mark.parametrize("change", ["api", "api=", "api=x", "api=0", "api=70000", "web=80", "=1"])
def test_what_is_no_port_is_refused(change: str) -> None:
    with pytest.raises(StackError, match="write SERVICE=PORT"):
        Ports().with_changes([change])


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError) as refused:
            check_ports({"airflow-apiserver": port})
    assert f"port {port}, which airflow-apiserver needs" in str(refused.value)
    assert "--port airflow=N" in str(refused.value)
    assert "--port-offset" in str(refused.value)


def test_free_ports_are_fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check_ports({"api": port})


def test_ports_for_tests_and_benchmarks_are_below_those_of_outgoing_connections() -> None:
    found = [port for _ in range(50) for port in astuple(free_ports())]
    assert all(1024 < port < 32_768 for port in found)
    assert all(len(set(found[i : i + 5])) == 5 for i in range(0, len(found), 5))


def test_a_port_that_is_listened_on_is_not_free() -> None:
    taken, free = free_ports().api, free_ports().mlflow
    with socket.create_server(("127.0.0.1", taken)):
        assert {free_port(among=(taken, free)) for _ in range(20)} == {free}
