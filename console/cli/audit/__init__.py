"""`hms audit`: proof that the history is the one that was signed, for people who trust nobody who can write the log."""

from cyclopts import App

from .export import export
from .keys import key_app
from .proofs import check, prove
from .signing import sign
from .verifying import verify

app = App(name="audit", help="Proof of the history: signed checkpoints, what they cover, and proofs for others.")
for command in (verify, sign, prove, check, export):
    app.command(command)
app.command(key_app)
