"""What a node runs: shards that turn messages into commits, and everything that survives their death.

Start at `node.py` (which shards are ours), go on to `shard.py` (the loop) and `turn.py` (one input, one verdict);
`commit_record.py` is what all of it rests on, `restore.py` is the way back.
"""
