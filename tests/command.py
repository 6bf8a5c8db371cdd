"""How the tests run `hms`: the installed package's own `main`, in a process of its own."""

import sys

HMS = (sys.executable, "-c", "from hms.console.cli import main; raise SystemExit(main())")
