"""`hms replay`: the past, looked at and tried again; nothing of it writes to the log, sends or restarts anything."""

from cyclopts import App

from .replay_fixture import check, export
from .replay_fork import fork
from .replay_shadow import shadow
from .replay_state import diff, state
from .replay_verify import verify_replay

app = App(name="replay", help="The past: states, differences, proofs, and what other code would have done.")
for command in (state, diff, shadow, export, check, fork):
    app.command(command)
app.command(verify_replay, name="verify")
