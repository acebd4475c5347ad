"""What a service of a stack is."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from presagio.deployment.health import Check
from presagio.stack.postgres import SystemAccount


@dataclass(frozen=True)
class Service:
    """A process that runs as long as the stack, or a step that ends by itself (no check).

    Attributes
    ----------
    needs
        Names of what has to be healthy, or done, before this starts.
    port
        The TCP port that it listens on.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    needs: tuple[str, ...] = ()
    check: Check | None = None
    address: str = ""
    port: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    account: SystemAccount | None = None

    @property
    def is_step(self) -> bool:
        """Whether this ends by itself."""
        return self.check is None


def sibling(program: str) -> str:
    """Return a program of the environment that this runs in, whatever PATH says."""
    return str(Path(sys.executable).with_name(program))
