"""Run as `python -I -S FOLDER_OF_THIS_FILE RUN_FOLDER`: becomes a package of its own name, so relative imports work."""

import importlib
import sys

if __name__ == "__main__":
    here = sys.path.pop(0)
    parent, _, name = here.rpartition("/")
    sys.path.append(parent)
    sys.exit(importlib.import_module(name + ".watch").main(*sys.argv[1:]))
