"""`hms metric`: measurements of others, as telemetry."""

from typing import Final

from cyclopts import App

app = App(name="metric", help="Measurements of others, as telemetry.")

IMPORT: Final = "hms.console.cli.metric_import:import_file"
app.command(IMPORT, name="import", help="Append the samples of a CSV file to a series of a component")
