"""Try an artifact in a process of its own before it is loaded into one that serves.

What a graph does is known when it has run: one may ask for a terabyte, never end, or crash the
library that runs it. The child has bounds on memory and on time, and less of the processor than
those who serve.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from presagio.errors import InvalidArtifactError

# What a trial may take beyond what the libraries themselves map: a base, and that many graphs.
_MEMORY = 512 << 20
_GRAPHS = 4
_LARGEST_OUTPUT = 1 << 16
_SHOWN = 1000
_TRIED = "tried"
_REFUSED = 3
_NICE = 10
# Names that hold secrets of this process; the child needs none of them.
_OURS = ("PRESAGIO_", "MLFLOW_", "AWS_")


def try_artifact(folder: Path, *, digest: str, limit_s: float) -> None:
    """Load an artifact and rehearse with it in a child process.

    Parameters
    ----------
    folder
        The artifact folder.
    digest
        The digest that it must have.
    limit_s
        Seconds that it may take.

    Raises
    ------
    InvalidArtifactError
        If it is refused, takes too much memory or time, or ends the process.
    """
    command = [sys.executable, "-P", "-m", __spec__.name, str(folder), digest, str(limit_s)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    # One thread: numerical libraries map memory for each that they might use.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command, check=False, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.DEVNULL, timeout=limit_s, env=environment,
            )  # fmt: skip
        except subprocess.TimeoutExpired as err:
            raise InvalidArtifactError(
                f"{folder}: trying the model took longer than {limit_s:g} s"
            ) from err
        output.seek(0)
        text = output.read(_SHOWN).decode("utf-8", "replace").strip()
    if done.returncode == _REFUSED and text:
        raise InvalidArtifactError(text)
    if done.returncode:
        raise InvalidArtifactError(f"{folder}: trying the model {_ended(done.returncode)}")


def try_once(folder: Path, *, digest: str, limit_s: float) -> None:
    """Try an artifact, unless this version of ONNX Runtime has run these very bytes before.

    Parameters
    ----------
    folder
        The artifact folder; a note in it says that it has been tried.
    digest, limit_s
        As for :func:`try_artifact`.

    Raises
    ------
    InvalidArtifactError
        As :func:`try_artifact` does.
    """
    note, wanted = folder / _TRIED, f"{digest} {version('onnxruntime')}"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if note.stat().st_size == len(wanted) and note.read_text("utf-8") == wanted:
            return
    try_artifact(folder, digest=digest, limit_s=limit_s)
    with contextlib.suppress(OSError):
        note.write_text(wanted, encoding="utf-8")


def _ended(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "took more time of the processor than it may"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"ended its process by {signal.Signals(-code).name}"
    return f"ended its process with status {code}"


def _bound_memory(folder: Path) -> None:
    from presagio.inference.artifact import GRAPH  # noqa: PLC0415

    graph = (folder / GRAPH).stat().st_size if (folder / GRAPH).is_file() else 0
    allowed = _MEMORY + _GRAPHS * graph
    with contextlib.suppress(OSError):
        mapped = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        allowed += mapped * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))


def _main(folder: Path, digest: str, limit_s: float) -> int:
    seconds = max(1, int(limit_s))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_OUTPUT, _LARGEST_OUTPUT))
    os.nice(_NICE)
    # Before memory is bounded: what libraries map differs by system. And after the bound on
    # time: it takes 0.3 s of the processor, for which those who serve come first.
    from presagio.inference.predictor import load_predictor  # noqa: PLC0415
    from presagio.inference.rehearsal import rehearse  # noqa: PLC0415

    _bound_memory(folder)
    try:
        rehearse(load_predictor(folder, digest=digest))
    except InvalidArtifactError as err:
        print(str(err)[:_SHOWN])
        return _REFUSED
    except MemoryError:
        print(f"{folder}: the model takes more memory than it may")
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
