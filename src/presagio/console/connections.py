"""Connections of browsers: limits on how long a request may take to come, as the API has them."""

from presagio.serving.http.connections import TimedProtocol

# Where files are sent to.
_FILES = ("/files", "/fleets/new")


class ConsoleProtocol(TimedProtocol):
    """One connection; forms come within seconds, files may take minutes."""

    @property
    def waits(self) -> bool:
        """Whether there is no whole request; files are waited for from who is signed in only."""
        active = self._active
        if active is None or active.response_complete:
            return True
        # Anybody may send forms, which the page that asks for a sign-in keeps.
        return active.more_body and not active.scope["path"].startswith(_FILES)

    def _seconds(self, stage: str) -> float:
        settings = self._connections.settings
        if stage == "body" and self.scope["path"].startswith(_FILES):
            return settings.batch_max_seconds
        return super()._seconds(stage)
