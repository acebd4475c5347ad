"""What replicas agree on: which version all serve, and from which moment on."""

from dataclasses import dataclass

from presagio.registry.versions import RegisteredVersion


def names_of(version: RegisteredVersion) -> str:
    """Return what tells a version from all others, also where a registry was made anew."""
    return f"{version.name}/{version.version}/{version.run_id}"


def topic_of(model: str) -> str:
    """Return what a registered model's champion is called among replicas."""
    return f"model:{model}"


@dataclass(frozen=True)
class Agreed:
    """The champion that all replicas serve.

    Attributes
    ----------
    generation
        How often a champion was agreed on, this time included.
    digest
        SHA-256 of its artifact.
    at
        From when on, by the database's clock, in seconds since 1970.
    """

    generation: int
    version: RegisteredVersion
    digest: str
    at: float

    @property
    def names(self) -> str:
        """What tells its version from all others."""
        return names_of(self.version)


@dataclass(frozen=True)
class Moment:
    """A moment as this process knows it, by its monotonic clock in seconds.

    The database's clock is known to within an error. Before ``closes`` it is surely not there yet,
    from ``opens`` on it surely is. An answer that is asked for in between waits for ``opens``: so
    a client that has an answer of the new version gets none of the old one elsewhere.
    """

    closes: float
    opens: float


@dataclass(frozen=True)
class State:
    """What one process of a replica serves of one topic.

    Attributes
    ----------
    serves, prepared, refused
        The versions that it serves, is ready to serve, and cannot serve, as :func:`names_of`
        names them.
    looked
        When its last finished look began, by the database's clock, in seconds since 1970.
    """

    replica: str
    pid: int
    model: str = ""
    version: str = ""
    degraded: bool = True
    reason: str | None = None
    serves: str = ""
    prepared: str = ""
    refused: str = ""
    looked: float = 0.0

    def decided_on(self, names: str) -> bool:
        """Tell whether nobody has to wait for it before a version is served."""
        return names in {self.serves, self.prepared, self.refused}
