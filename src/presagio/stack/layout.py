"""Where a stack keeps its things: one home folder, several stacks on one machine."""

from dataclasses import dataclass
from pathlib import Path


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
    def broker(self) -> Path:
        """What the broker keeps: messages that no worker has finished yet."""
        return self.home / "broker"

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

    def log_tail(self, service: str, lines: int = 20) -> str:
        """Return the last lines of a service's log."""
        try:
            text = self.log(service).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
