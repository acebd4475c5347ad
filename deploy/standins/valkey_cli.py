#!/usr/bin/env python3
"""Ping a broker as the health check of deploy/compose.celery.yaml has valkey-cli do."""

import os
import socket
import sys

user = sys.argv[sys.argv.index("--user") + 1]
with socket.create_connection(("127.0.0.1", 6379), timeout=3) as peer:
    peer.sendall(f"AUTH {user} {os.environ['REDISCLI_AUTH']}\r\n{sys.argv[-1]}\r\n".encode())
    answer = b""
    while answer.count(b"\n") < len((user, "ping")) and (part := peer.recv(256)):
        answer += part
sys.stdout.write(answer.decode())
