"""The newest command of a component, on disk before it is acted upon; older ones are known by it and ignored."""

from pathlib import Path

from ...core.private_folder import make_private
from ...schemas.record import Record
from .command import HostCommand
from .shim import record

FILE = "journal.json"


class Entry(Record):
    """What the host is to do, and what it did on its own account.

    `attempt` counts restarts of this incarnation by the host itself; `restarted_at` their instants (micros UTC) that
    are still within the budget's window.
    """

    command: HostCommand
    attempt: int = 0
    restarted_at: tuple[int, ...] = ()


class Journal:
    """One component's journal, in its folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; a missing file is an empty journal.

        Raises:
            ValueError: The file cannot be read as a journal; it names the file.

        """
        self._folder = folder
        try:
            stored = record.load(str(folder / FILE))
            self.entry = None if stored is None else Entry.model_validate(stored)
        except ValueError as error:
            raise ValueError(f"{folder / FILE}: expected a journal as this version writes it, got {error}") from error

    def is_news(self, command: HostCommand) -> bool:
        """Whether it is newer than all that were ever executed here."""
        return self.entry is None or command.rank > self.entry.command.rank

    def accept(self, command: HostCommand) -> bool:
        """Write the command down if it is news; True once it is on disk, False if it is to be ignored."""
        if not self.is_news(command):
            return False
        same = self.entry is not None and self.entry.command.incarnation == command.incarnation
        restarted_at = self.entry.restarted_at if self.entry else ()
        self._write(
            Entry(command=command, attempt=self.entry.attempt if same and self.entry else 0, restarted_at=restarted_at)
        )
        return True

    def begin_attempt(self, restarted_at: tuple[int, ...]) -> None:
        """Write down, before acting, that the host restarts the component by itself."""
        if self.entry is None:
            raise ValueError("a component that was never commanded cannot be restarted: send a command first")
        self._write(self.entry.model_copy(update={"attempt": self.entry.attempt + 1, "restarted_at": restarted_at}))

    def _write(self, entry: Entry) -> None:
        make_private(self._folder)
        record.store(str(self._folder), FILE, entry.model_dump(mode="json"))
        self.entry = entry
