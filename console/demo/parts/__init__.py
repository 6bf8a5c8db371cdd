"""The programs of the demo's fleet: standard library only, run by path, each with a weakness that real ones have."""
