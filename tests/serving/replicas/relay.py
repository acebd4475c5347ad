"""A line to a server that can be made to hang, or be cut."""

import contextlib
import select
import socket
import threading
from typing import Self


class Relay:
    """Forwards connections to a port, as long as it is not told otherwise."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hanging = threading.Event()
        # Connections end, and new ones too.
        self.cut = threading.Event()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            if select.select([self._listener], [], [], 0.1)[0]:
                line, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._carry, args=(line,)))
                self._threads[-1].start()

    def _carry(self, line: socket.socket) -> None:
        with line, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            other = {line: server, server: line}
            while not self._ending.is_set() and not self.cut.is_set():
                if self.hanging.is_set():
                    self._ending.wait(0.05)
                    # One that gives up is not kept.
                    with contextlib.suppress(BlockingIOError):
                        if not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                            return
                    continue
                for ready in select.select([*other], [], [], 0.1)[0]:
                    if not (data := ready.recv(1 << 16)):
                        return
                    other[ready].sendall(data)
