"""The ports of a stack, and whether they can be had."""

import secrets
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from presagio.errors import StackError

# Systems give outgoing connections ports from 32,768 up, which a server then finds taken.
_FREE = range(10_000, 32_000)


@dataclass(frozen=True)
class Ports:
    """The TCP ports of a stack, all on 127.0.0.1."""

    api: int = 8000
    console: int = 8050
    airflow: int = 8080
    mlflow: int = 5000
    s3: int = 9010
    postgres: int = 5432
    broker: int = 6379

    def moved(self, offset: int) -> "Ports":
        """Return the ports with ``offset`` added to each."""
        return replace(
            self, **{field.name: getattr(self, field.name) + offset for field in fields(self)}
        )

    def with_changes(self, changes: list[str]) -> "Ports":
        """Return the ports with single ones changed.

        Parameters
        ----------
        changes
            Texts such as ``api=8001``.

        Raises
        ------
        StackError
            If a text is none such.
        """
        known = {field.name for field in fields(self)}
        values = {}
        for change in changes:
            name, _, number = change.partition("=")
            if name not in known or not number.isdecimal() or not 0 < int(number) < 2**16:
                raise StackError(
                    f"--port {change}: write SERVICE=PORT, one of {', '.join(sorted(known))}"
                )
            values[name] = int(number)
        return replace(self, **values)

    def url(self, service: str) -> str:
        """Return the HTTP address of a service."""
        return f"http://127.0.0.1:{getattr(self, service)}"


def free_port(taken: Collection[int] = (), among: Sequence[int] = _FREE) -> int:
    """Return a port, none of ``taken``, that nobody listens on and no outgoing connection gets."""
    while True:
        port = among[secrets.randbelow(len(among))]
        if port not in taken and _bind_error(port) is None:
            return port


def free_ports() -> Ports:
    """Return ports for a stack, as :func:`free_port` does."""
    found: list[int] = []
    for _ in fields(Ports):
        found.append(free_port(found))
    return Ports(*found)


def port_options(ports: Ports) -> list[str]:
    """Return the options of ``presagio up`` that give a stack these ports."""
    return [f"--port={name}={number}" for name, number in asdict(ports).items()]


def _bind_error(port: int) -> OSError | None:
    """Return why a server could not listen on a port of 127.0.0.1 now; None if it could."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as err:
            return err
    return None


def check_ports(wanted: Mapping[str, int]) -> None:
    """Find out whether every port is free, before anything is started.

    Parameters
    ----------
    wanted
        The TCP port that each service needs, by the service's name.

    Raises
    ------
    StackError
        If one is taken; names it, and the options that change it.
    """
    for name, port in wanted.items():
        if err := _bind_error(port):
            option = name.removesuffix("-apiserver")
            raise StackError(
                f"port {port}, which {name} needs, cannot be had "
                f"({err.strerror}); choose another with --port {option}=N, or move all ports "
                "with --port-offset N"
            ) from err
