"""`hms analysis`: what is unusual in numbers, what most likely caused an incident, and how the fleet is."""

from typing import Final

from cyclopts import App

app = App(name="analysis", help="What is unusual in numbers, what most likely caused an incident, how the fleet is.")

CLI: Final = "hms.console.cli.analysis"
"""A command imports its engines when it runs."""
app.command(f"{CLI}_score:score", name="score", help="Score every sample of each file by how unusual it is")
app.command(f"{CLI}_causes:causes", name="causes", help="Rank the components by how likely each caused an incident")
app.command(f"{CLI}_watch:watch", name="watch", help="Look at every series again and again")
app.command(f"{CLI}_watch:look", name="look", help="Look once, now")
app.command(f"{CLI}_alerts:app", name="alerts", help="Alerts: list, acknowledge, silence")
app.command(f"{CLI}_report:report", name="report", help="Report the health of the fleet: text, JSON, or an HTML page")
