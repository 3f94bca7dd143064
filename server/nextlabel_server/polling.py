"""Looking for new versions of models while the server runs."""

import threading

from nextlabel_server.errors import Cancelled
from nextlabel_server.inference import ModelRepository, RepositoryError
from nextlabel_server.logs import get_logger

END_SECONDS = 5.0  # for a model that is being loaded, which nothing stops

log = get_logger("nextlabel")


class Polling:
    """Refreshes a repository every `seconds`, or never if that is 0.

    Directories that cannot be read, or whatever else goes wrong, leave everything as it is; the
    log says so once.
    """

    def __init__(self, models: ModelRepository, seconds: float) -> None:
        self._models = models
        self._seconds = seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="polling", daemon=True)

    def start(self) -> None:
        if self._seconds > 0:
            self._thread.start()

    def close(self) -> None:
        """Ends it, and closes the repository."""
        self._closing.set()
        self._models.close()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def _run(self) -> None:
        told = ""
        while not self._closing.wait(self._seconds):
            try:
                self._models.refresh()
                told = ""
            except Cancelled:
                return
            except Exception as error:
                if repr(error) != told:
                    told = repr(error)
                    unforeseen = not isinstance(error, RepositoryError)
                    log.error("models stay as they are", error=str(error), exc_info=unforeseen)
