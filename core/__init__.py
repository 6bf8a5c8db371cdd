"""The durable log, the event-sourced actor runtime on it, and the testing kit.

`log` is the port and its backends, `runtime` what a node runs, `client` the way in; `behaviour`, `decision`, `app` and
`address` are what an application is written with. The public names are re-exported by `hms` itself.
"""
