"""The application in force, and its renewal while it runs: a call sees the old one or the new one, never a mix."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from cds_content.files import ContentError
from cds_service import logs
from cds_service.errors import ServiceError, SettingsError
from cds_service.metrics import RELOADS

log = logs.get()


class Current:
    """A WSGI application that hands each call to the application in force.

    `build` makes a new one from what is on disk now, checked as at start; when it raises, the old one stays.
    """

    def __init__(self, app: Any, build: Callable[[], Any]) -> None:
        self._app, self._build = app, build
        self._wanted: SimpleQueue[None] = SimpleQueue()
        Thread(target=self._renew, name="reload", daemon=True).start()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._app(environ, start_response)

    def reload(self) -> None:
        """Asks for a new application and returns at once; fit for a signal handler (SimpleQueue is, a lock is not)."""
        self._wanted.put(None)

    def _renew(self) -> None:
        """One after the other, and once for all that have asked in the meantime."""
        while True:
            self._wanted.get()
            while not self._wanted.empty():
                self._wanted.get()
            self._replace()

    def _replace(self) -> None:
        try:
            self._app = self._build()
        except (ContentError, SettingsError, ServiceError) as error:
            _refused(str(error))
        except Exception as error:
            _refused(type(error).__name__, logs.place(error))
        else:
            RELOADS.labels("done").inc()
            log.info("reloaded")


def _refused(reason: str, place: str = "") -> None:
    RELOADS.labels("refused").inc()
    log.error("reload refused, the old goes on", reason=" | ".join(reason.splitlines()), place=place)
