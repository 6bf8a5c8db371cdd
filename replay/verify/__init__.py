"""Replay is exact: shards decided upon again, held against what they recorded, byte for byte."""
