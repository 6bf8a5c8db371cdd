"""The composition root: the command line, and what `hms up`, `hms node` and `hms demo` put together."""
