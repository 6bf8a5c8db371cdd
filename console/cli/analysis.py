"""`hms analysis`: what is unusual in a series of numbers, and what most likely caused an incident."""

from cyclopts import App

from .analysis_causes import causes
from .analysis_score import score

app = App(name="analysis", help="What is unusual in numbers, and what most likely caused an incident.")
app.command(score)
app.command(causes)
