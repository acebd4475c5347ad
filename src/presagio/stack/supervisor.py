"""Start services in the order of their needs, watch them, restart what dies, stop everything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from presagio.errors import StackError
from presagio.stack.layout import Layout
from presagio.stack.ports import check_ports
from presagio.stack.processes import end, left_over, start, stop_all
from presagio.stack.service import Service
from presagio.stack.state import (
    Phase,
    ServiceState,
    ServiceStatus,
    StackStatus,
    supervisor_lock,
    write_status,
)

Watch = Callable[[StackStatus], None]

_TICK_S = 0.2
_START_LIMIT_S = 180.0
_WATCH_EVERY_S = 10.0
_STEADY_S = 60.0
_LONGEST_BACK_OFF_S = 30.0
_STOP_GRACE_S = 15.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Running:
    """A service with what is known of its process."""

    service: Service
    state: ServiceState = "waiting"
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    started_at: datetime = _NEVER
    healthy_after: float | None = None
    restarts: int = 0
    failures: int = 0
    retry_at: float = 0.0
    asked: float = 0.0
    answer: Future[bool] | None = None
    note: str = ""

    @property
    def ready(self) -> bool:
        return self.state in ("healthy", "unhealthy", "done")

    def status(self, now: float, began: float, note: str) -> ServiceStatus:
        alive = self.process is not None and self.process.poll() is None
        seconds = self.healthy_after
        if seconds is None:
            seconds = now - self.started if self.state == "starting" else 0.0
        return ServiceStatus(
            name=self.service.name,
            state=self.state,
            address=self.service.address,
            pid=self.process.pid if alive and self.process else None,
            after=round(self.started - began, 1) if self.started else 0.0,
            seconds=round(seconds, 1),
            restarts=self.restarts,
            note=note,
            is_step=self.service.is_step,
        )


class Supervisor:
    """Runs the services of one stack until it is told to stop."""

    def __init__(
        self,
        services: list[Service],
        layout: Layout,
        watch: Watch,
        *,
        start_limit_s: float = _START_LIMIT_S,
    ) -> None:
        self._start_limit_s = start_limit_s
        self._all = {service.name: _Running(service) for service in services}
        self._layout = layout
        self._watch = watch
        self._stop = False
        self._began = time.monotonic()
        self._phase: Phase = "starting"
        self._message = ""
        self._published: StackStatus | None = None
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="health")
        self._offsets = {name: self._log_size(name) for name in self._all}

    def request_stop(self, *_signal: object) -> None:
        """Ask the supervisor to stop; may be called from a signal handler."""
        self._stop = True

    def run(self) -> None:
        """Start everything, watch it, and stop everything when asked to.

        Raises
        ------
        StackError
            If a port is taken, another supervisor runs, or a service does not start. Whatever was
            started has been stopped by then.
        """
        with supervisor_lock(self._layout):
            # What it says is of a supervisor that is gone.
            self._layout.state.unlink(missing_ok=True)
            end(left_over(self._layout))
            services = [running.service for running in self._all.values()]
            check_ports({each.name: each.port for each in services if each.port is not None})
            guardian = self._start_guardian()
            try:
                self._supervise()
            except StackError as err:
                self._phase, self._message = "failed", str(err)
                raise
            finally:
                self._stop_everything()
                self._pool.shutdown(cancel_futures=True)
                if guardian.stdin:
                    guardian.stdin.close()
                guardian.wait()

    def _start_guardian(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "presagio.stack.guardian", str(self._layout.home)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )

    def _supervise(self) -> None:
        while not self._stop:
            now = time.monotonic()
            for running in self._all.values():
                self._advance(running, now)
            if self._phase == "starting" and all(r.ready for r in self._all.values()):
                self._phase = "healthy"
            self._publish(now)
            time.sleep(_TICK_S)

    # ---- one service ----------------------------------------------------------------------------

    def _advance(self, running: _Running, now: float) -> None:
        if running.state == "waiting":
            if all(self._all[name].ready for name in running.service.needs):
                self._start(running, now)
        elif running.state == "restarting":
            if now >= running.retry_at:
                self._start(running, now)
        elif running.process is not None and running.process.poll() is not None:
            self._ended(running, running.process.returncode, now)
        elif running.service.check is not None:
            self._ask(running, now)

    def _start(self, running: _Running, now: float) -> None:
        try:
            running.process = start(running.service, self._layout)
        except OSError as err:
            raise StackError(
                f"{running.service.name} cannot be started: {running.service.command[0]}: "
                f"{err.strerror}; run: make setup"
            ) from err
        running.state, running.started = "starting", now
        running.started_at = datetime.now(UTC)
        running.healthy_after, running.answer, running.asked = None, None, 0.0

    def _ended(self, running: _Running, code: int, now: float) -> None:
        if running.state == "done":
            return
        if running.service.is_step and code == 0:
            running.state, running.healthy_after = "done", now - running.started
            running.note = self._last_event(running.service.name)
            return
        if self._phase == "starting":
            self._give_up(running, f"ended with exit status {code}")
        self._restart_later(running, now)

    def _restart_later(self, running: _Running, now: float) -> None:
        if running.process is not None:
            # Whatever a dead leader had started would keep its port.
            stop_all([(running.process, signal.SIGKILL)], 0.0)
        steady = running.healthy_after is not None and now - running.started > _STEADY_S
        running.failures = 1 if steady else running.failures + 1
        running.restarts += 1
        running.retry_at = now + min(2.0 ** (running.failures - 1), _LONGEST_BACK_OFF_S)
        running.state = "restarting"

    def _ask(self, running: _Running, now: float) -> None:
        check = running.service.check
        if running.answer is None:
            pause = _WATCH_EVERY_S if running.ready else _TICK_S
            if check is not None and now - running.asked >= pause:
                running.asked = now
                running.answer = self._pool.submit(check, running.started_at)
        elif running.answer.done():
            # A check that fails in itself has not found the service healthy.
            healthy = running.answer.exception() is None and running.answer.result()
            running.answer = None
            if healthy:
                running.state = "healthy"
                running.healthy_after = running.healthy_after or now - running.started
            elif running.ready:
                running.state = "unhealthy"
        if running.state == "starting" and now - running.started > self._start_limit_s:
            if self._phase == "starting":
                self._give_up(running, f"is not healthy after {self._start_limit_s:.0f} s")
            self._restart_later(running, now)

    def _give_up(self, running: _Running, what: str) -> None:
        running.state = "failed"
        name = running.service.name
        raise StackError(
            f"{name} {what}. The last lines of its log:\n\n{self._layout.log_tail(name)}\n\n"
            f"Read the whole log: {self._layout.log(name)}"
        )

    # ---- everything -----------------------------------------------------------------------------

    def _stop_everything(self) -> None:
        phase = "failed" if self._phase == "failed" else "stopping"
        self._phase = "stopping"
        for running in self._all.values():
            if running.process is not None and running.process.poll() is None:
                running.state = "stopping"
        self._publish(time.monotonic())
        # What needs the databases and the store first, then these.
        for at_bottom in (False, True):
            stop_all(
                [
                    (running.process, running.service.stop_signal)
                    for running in self._all.values()
                    if running.process is not None and (not running.service.needs) is at_bottom
                ],
                _STOP_GRACE_S,
            )
        for running in self._all.values():
            if running.state == "stopping":
                running.state = "stopped"
        self._phase = "failed" if phase == "failed" else "stopped"
        self._publish(time.monotonic())

    def _publish(self, now: float) -> None:
        services = tuple(
            running.status(now, self._began, self._progress(name))
            for name, running in self._all.items()
        )
        status = StackStatus(
            pid=os.getpid(), phase=self._phase, message=self._message, services=services
        )
        if status != self._published:
            self._published = status
            write_status(self._layout, status)
            self._watch(status)

    def _log_size(self, name: str) -> int:
        try:
            return self._layout.log(name).stat().st_size
        except FileNotFoundError:
            return 0

    def _progress(self, name: str) -> str:
        """Return how far a step is, or what it has to say: the last line that it printed as JSON.

        That is an object with either ``done`` and ``total`` or a ``note``.
        """
        running = self._all[name]
        if running.service.is_step and running.state == "starting":
            return self._last_event(name)
        return running.note

    def _last_event(self, name: str) -> str:
        with self._layout.log(name).open("rb") as log:
            log.seek(self._offsets[name])
            lines = log.read().splitlines()
        for line in reversed(lines):
            try:
                event = json.loads(line)
                return str(event.get("note") or f"{event['done']}/{event['total']}")
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return ""
