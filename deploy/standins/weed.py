#!/usr/bin/env python3
"""Take the arguments that compose.yaml gives SeaweedFS, and serve S3 with rclone."""

import json
import os
import sys
from pathlib import Path

options = dict(part.lstrip("-").split("=", 1) for part in sys.argv[2:])
identities = json.loads(Path(options["s3.config"]).read_text(encoding="utf-8"))["identities"]
keys = [pair for identity in identities for pair in identity["credentials"]]
# By variable, as a list in CSV: a command line can be read by everyone on the machine.
os.environ["RCLONE_AUTH_KEY"] = ",".join(
    f'"{pair["accessKey"]},{pair["secretKey"]}"' for pair in keys
)
os.execvp(
    "rclone",
    ["rclone", "serve", "s3", "--addr", f":{options['s3.port']}", "--config", "",
     "--cache-dir", "/tmp/rclone", options["dir"]],
)  # fmt: skip
