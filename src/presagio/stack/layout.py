"""Where a stack keeps its things: one home folder, several stacks on one machine."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from presagio.errors import StackError


@dataclass(frozen=True)
class Layout:
    """The folders and files below a stack's home."""

    home: Path

    @property
    def run(self) -> Path:
        """Files of the running stack: lock, state."""
        return self.home / "run"

    @property
    def work(self) -> Path:
        """Working directory of every service; also the mark by which left-overs are found."""
        return self.run / "cwd"

    @property
    def logs(self) -> Path:
        """One log file a service."""
        return self.home / "logs"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.home / "postgres"

    @property
    def objects(self) -> Path:
        """What the S3 server serves: one folder a bucket."""
        return self.home / "s3"

    @property
    def airflow(self) -> Path:
        """Airflow's own home."""
        return self.home / "airflow"

    @property
    def lock(self) -> Path:
        """Locked while a supervisor runs."""
        return self.run / "supervisor.lock"

    @property
    def state(self) -> Path:
        """What the supervisor says of its services."""
        return self.run / "state.json"

    def log(self, service: str) -> Path:
        """Return the log file of a service."""
        return self.logs / f"{service}.log"

    def create(self) -> None:
        """Create the folders; the home is closed to other accounts but for passing through."""
        for folder in (self.home, self.run, self.work, self.logs, self.objects, self.airflow):
            folder.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o711)
        for folder in (self.run, self.logs, self.objects, self.airflow):
            folder.chmod(0o700)


@dataclass(frozen=True)
class Ports:
    """The TCP ports of a stack, all on 127.0.0.1."""

    api: int = 8000
    airflow: int = 8080
    mlflow: int = 5000
    s3: int = 9010
    postgres: int = 5432

    def moved(self, offset: int) -> "Ports":
        """Return the ports with ``offset`` added to each."""
        return replace(
            self, **{field.name: getattr(self, field.name) + offset for field in fields(self)}
        )

    def with_changes(self, changes: list[str]) -> "Ports":
        """Return the ports with single ones changed.

        Parameters
        ----------
        changes
            Texts such as ``api=8001``.

        Raises
        ------
        StackError
            If a text is none such.
        """
        known = {field.name for field in fields(self)}
        values = {}
        for change in changes:
            name, _, number = change.partition("=")
            if name not in known or not number.isdecimal() or not 0 < int(number) < 2**16:
                raise StackError(
                    f"--port {change}: write SERVICE=PORT, one of {', '.join(sorted(known))}"
                )
            values[name] = int(number)
        return replace(self, **values)

    def url(self, service: str) -> str:
        """Return the HTTP address of a service."""
        return f"http://127.0.0.1:{getattr(self, service)}"
