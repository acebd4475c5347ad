"""The errors that Presagio raises on purpose.

A message names what failed, where, what was expected and what to do. The domain
knows no HTTP and no exit codes: the edges (``serving``, ``cli``) translate. A message that people
see in their language is a :class:`.sentences.Sentence`; as text it is English.
"""

from presagio.sentences import Sentence


class PresagioError(Exception):
    """Base of every error that Presagio raises on purpose; ``sentence`` can be translated."""

    def __init__(self, message: str | Sentence = "") -> None:
        super().__init__(str(message))
        self.sentence = message if isinstance(message, Sentence) else None


class InvalidSpecError(PresagioError):
    """A machine spec cannot be read or contradicts itself; ``faults`` are each of its faults."""

    def __init__(self, message: str | Sentence, faults: tuple[str | Sentence, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (message,)


class UnreadableFileError(PresagioError):
    """A file of readings cannot be taken as a whole; ``reason`` is a stable code."""

    def __init__(self, reason: str, message: str | Sentence) -> None:
        super().__init__(message)
        self.reason = reason


class NotFoundError(PresagioError):
    """Nothing has the number or name that was given: a receipt, a version, an account, a log."""


class ConflictError(PresagioError):
    """What is asked for is over already, such as a case that somebody else has closed."""


class ChampionChangedError(ConflictError):
    """Another version became champion meanwhile; ``champion`` is its number, if there is one."""

    def __init__(self, message: str, champion: str | None) -> None:
        super().__init__(message)
        self.champion = champion


class DataError(PresagioError):
    """There are no usable data for what was asked."""


class NoDataError(DataError):
    """There are no labelled readings yet to train on."""


class HeaderLimitError(UnreadableFileError, DataError):
    """A header has too many columns, or a name that nobody keeps; raised at every door alike."""


class ReaderEndedError(PresagioError):
    """A file ended the process that read it; ``reason`` is ``memory``, ``time`` or ``crash``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ReadersBusyError(PresagioError):
    """All reader processes are busy with other files."""


class DownloadError(PresagioError):
    """A download broke off or brought other bytes than expected."""


class StorageError(PresagioError):
    """The object store or the ledger refused or could not be reached."""


class RefusedValueError(StorageError):
    """The ledger refuses what it is to keep; it would refuse the same tomorrow."""


class ResourceError(PresagioError):
    """The operating system refused a file, memory or disk space; trying again may do."""


class RegistryError(PresagioError):
    """The model registry refused or could not be reached."""


class NoChampionError(RegistryError):
    """The registry answers, but no version carries the alias that was asked for."""


class UnknownVersionError(RegistryError, NotFoundError):
    """The registry answers, but has no version of that number."""


class InvalidArtifactError(PresagioError):
    """A serving artifact is incomplete, altered, or fails its recorded examples."""


class SettingsError(PresagioError):
    """A setting is missing or has a value that cannot be used."""


class StackError(PresagioError):
    """The local stack cannot be started, found or stopped."""
