"""What was: actors as they were at an instant, what changed between two, and the cut through all shards that an instant is."""
