"""Messages between a reader process and its parent: JSON with its length before it, over a socket.

No pickle: what a reader sends is plain data, however it came to be.
"""

import array
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("<I")
# Errors quote cells, each shortened; the columns of a file are capped.
_MOST_BYTES = 16 << 20
_MOST_FILES = 2


class ChannelClosedError(Exception):
    """The other side is gone."""


def send(channel: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> None:
    """Send a message, and open files with it.

    Raises
    ------
    ChannelClosedError
        If the other side is gone.
    """
    raw = json.dumps(message).encode()
    try:
        # The files go with the length: a first byte always carries them.
        socket.send_fds(channel, [_LENGTH.pack(len(raw))], list(files))
        channel.sendall(raw)
    except OSError as err:
        raise ChannelClosedError from err


def _exactly(channel: socket.socket, length: int) -> bytes:
    raw = bytearray(length)
    view, got = memoryview(raw), 0
    while got < length:
        count = channel.recv_into(view[got:])
        if not count:
            raise ChannelClosedError
        got += count
    return bytes(raw)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive a message and the files that came with it; the receiver closes them.

    Raises
    ------
    ChannelClosedError
        If the other side is gone.
    TimeoutError
        If nothing came within the socket's timeout.
    """
    space = socket.CMSG_SPACE(_MOST_FILES * array.array("i").itemsize)
    files = array.array("i")
    try:
        head, extra, _, _ = channel.recvmsg(_LENGTH.size, space)
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files.frombytes(data[: len(data) - len(data) % files.itemsize])
        if not head:
            raise ChannelClosedError
        head += _exactly(channel, _LENGTH.size - len(head))
        (length,) = _LENGTH.unpack(head)
        if length > _MOST_BYTES:
            raise ChannelClosedError
        message: dict[str, Any] = json.loads(_exactly(channel, length))
    except TimeoutError:
        raise
    except OSError as err:
        raise ChannelClosedError from err
    return message, list(files)
