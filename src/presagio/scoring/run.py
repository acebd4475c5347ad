"""What a run of bulk scoring is made of, as plain data that goes to other processes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from presagio.errors import InvalidArtifactError
from presagio.inference.artifact import FILES
from presagio.inference.predictor import Predictor
from presagio.scoring.one_file import FileCounts, FileLimits
from presagio.scoring.places import RECORDS, FoundFile

RESULT, REJECTED = ".scored.parquet", ".rejected.parquet"


@dataclass(frozen=True)
class ModelFiles:
    """A model version as bytes, for processes that do not share a disk.

    Attributes
    ----------
    name, version
        What it is called in the registry.
    digest
        The digest of its artifact.
    files
        The artifact's files.
    """

    name: str
    version: str
    digest: str
    files: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, predictor: Predictor, name: str, version: str) -> "ModelFiles":
        """Return a model that was loaded.

        Raises
        ------
        InvalidArtifactError
            If it has no artifact that another process could load.
        """
        folder = predictor.artifact.folder
        try:
            files = tuple((each, (folder / each).read_bytes()) for each in FILES)
        except OSError as err:
            raise InvalidArtifactError(
                f"{name} version {version} is no ONNX graph, so that it can be served but not "
                "score files in bulk"
            ) from err
        return cls(name, version, predictor.artifact.digest, files)


@dataclass(frozen=True)
class ScoringRun:
    """What is the same for all files. It holds no secret.

    Attributes
    ----------
    source, to
        Addresses of the files and of the results.
    spec
        The fleet's machine spec, as JSON.
    model
        The one version that scores all of them.
    limits
        What a file may be.
    resume
        Whether what is done already stays.
    """

    source: str
    to: str
    spec: str
    model: ModelFiles
    limits: FileLimits
    resume: bool = False


@dataclass(frozen=True)
class FileTask:
    """A file to score.

    Attributes
    ----------
    file
        As what it was found.
    history
        Name and digest of what is known of its units from earlier files; None where there are none.
    """

    file: FoundFile
    history: tuple[str, str] | None = None


@dataclass(frozen=True)
class FileOutcome:
    """What came of a file: counts, or why it could not be scored.

    Attributes
    ----------
    size
        Of the file, in bytes.
    skipped
        Whether it was done before.
    """

    name: str
    size: int
    counts: FileCounts | None = None
    fault: str | None = None
    skipped: bool = False


@dataclass(frozen=True)
class TailOutcome:
    """What a file leaves behind for later ones: from when on it is; or what is wrong."""

    file: FoundFile
    earliest: float = np.inf
    fault: str | None = None


def record_name(name: str) -> str:
    """Return where it is noted what was scored."""
    return f"{RECORDS}{name}.json"


def tail_name(name: str) -> str:
    """Return where a file's tail lies."""
    return f"{RECORDS}{name}.tail.parquet"


def history_name(name: str) -> str:
    """Return where the history of a file's units lies."""
    return f"{RECORDS}{name}.history.parquet"


def after_name(name: str) -> str:
    """Return where it lies what is known after a file that goes back in time."""
    return f"{RECORDS}{name}.after.parquet"


def in_sum(outcomes: Iterable[FileOutcome]) -> FileCounts:
    """Sum counts up."""
    return sum((each.counts for each in outcomes if each.counts is not None), FileCounts())
