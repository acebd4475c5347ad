"""Connections of browsers: limits on how long a request may take to come, as the API has them."""

from presagio.serving.http.connections import TimedProtocol

_FILES = "/files"


class ConsoleProtocol(TimedProtocol):
    """One connection; forms come within seconds, files may take minutes."""

    def _seconds(self, stage: str) -> float:
        settings = self._connections.settings
        if stage == "body" and self.scope["path"].startswith(_FILES):
            return settings.batch_max_seconds
        return super()._seconds(stage)
