"""Facts that the log has not taken yet, on disk in their order, so that they outlive the agent."""

import contextlib
import json
from pathlib import Path
from typing import Final

import structlog

from ..host.facts import Fact

logger = structlog.get_logger("hms.agent")
KINDS: Final = {kind.__name__: kind for kind in Fact.__subclasses__()}


class Spool:
    """A file of one JSON object a line; a later line with the id of an earlier one replaces it."""

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self._path = path
        self._written = path.exists()

    def load(self) -> list[Fact]:
        """Return what an earlier agent could not deliver, oldest first; a line cut short by a crash is left out."""
        facts: dict[str, Fact] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError):
                    kind, fields = json.loads(line)
                    fact = KINDS[kind].model_validate(fields)
                    facts[fact.id] = fact
        return list(facts.values())

    def keep(self, *facts: Fact) -> None:
        """Add facts; on a full disk they live in memory only."""
        if not facts:
            return
        lines = [json.dumps([type(fact).__name__, fact.model_dump(mode="json")]) + "\n" for fact in facts]
        self._written = True
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as error:
            logger.warning("spool_not_written", path=str(self._path), error=str(error), facts=len(facts))

    def clear(self) -> None:
        """Forget everything: it is delivered."""
        if self._written:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
                self._written = False
