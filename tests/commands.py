"""The command line, run in the process of the tests: a process of its own costs seconds."""

import gc
import os
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from presagio.cli.main import main


def run_command(*arguments: str | Path, **env: str) -> CompletedProcess[str]:
    """Return streams and exit status, as those of ``python -m presagio`` with these arguments.

    What is tested of the process itself (signals, what it leaves behind, what it imports) needs a
    process of its own.
    """
    out, err, status = StringIO(), StringIO(), 0
    argv = ["presagio", *map(str, arguments)]
    with (
        patch.dict(os.environ, {"COLUMNS": "200"} | env),
        patch.object(sys, "argv", argv),
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        # What a command leaves open ends with its process; here it is collected.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            main()
        except SystemExit as ended:
            if isinstance(ended.code, str):
                err.write(ended.code)
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        gc.collect()
    return CompletedProcess(argv, status, out.getvalue(), err.getvalue())
