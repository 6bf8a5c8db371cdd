"""Write `schemas/avsc/` anew, after a change of a model; with a version (0.1.0), `schemas/released/<version>/`."""

import sys

from hms.schemas.golden import AVSC, RELEASED, body_schemas, export
from hms.schemas.vocabulary import VOCABULARY


def main() -> None:
    """Export to the folder that the command line names."""
    folder = RELEASED / sys.argv[1] if len(sys.argv) > 1 else AVSC
    schemas = body_schemas(VOCABULARY)
    export(folder, schemas)
    print(f"{len(schemas)} schemas in {folder}")


if __name__ == "__main__":
    main()
