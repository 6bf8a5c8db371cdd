"""Write the generated pages of docs/reference anew, from the code: `python tools/make_reference.py`.

tests/unit/test_reference.py holds that the pages in git are what this writes.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reference import commands, errors, fleet_file, limits, records, topics, verdicts

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"
PAGES: Final[dict[str, Callable[[], str]]] = {
    "commands.md": commands.page,
    "errors.md": errors.page,
    "events.md": records.events_page,
    "fleet-file.md": fleet_file.page,
    "limits.md": limits.page,
    "messages.md": records.messages_page,
    "topics.md": topics.page,
    "verdicts.md": verdicts.page,
}


def main() -> None:
    for name in sys.argv[1:] or PAGES:
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
