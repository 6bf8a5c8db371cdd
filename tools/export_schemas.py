"""Write `schemas/avsc/` anew, after a change of a model; with a version (0.1.0), `schemas/released/<version>/`."""

import re
import sys

from hms.schemas.golden import AVSC, RELEASED, body_schemas, export
from hms.schemas.vocabulary import VOCABULARY


def main() -> None:
    """Export to the folder that the command line names."""
    version = sys.argv[1] if len(sys.argv) > 1 else ""
    if version and re.fullmatch(r"\d+\.\d+\.\d+", version) is None:
        sys.exit(f"expected a version such as 0.1.0, or nothing; got {version!r}")
    folder = RELEASED / version if version else AVSC
    schemas = body_schemas(VOCABULARY)
    export(folder, schemas)
    print(f"{len(schemas)} schemas in {folder}")


if __name__ == "__main__":
    main()
