"""Ends a stack's processes when its supervisor is gone, however it went.

The supervisor holds the other end of this process's standard input and never writes to it. When
the supervisor ends, even by SIGKILL, the pipe closes, and whatever is left of the stack is ended.
"""

import signal
import sys
from pathlib import Path

from presagio.stack.layout import Layout
from presagio.stack.processes import end, left_over


def main(home: str) -> None:
    """Wait for the end of standard input, then end what is left of the stack."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    layout = Layout(Path(home))
    # A second look: something may have been started while the first round was ended.
    for _ in range(2):
        end(left_over(layout))


if __name__ == "__main__":
    main(sys.argv[1])
