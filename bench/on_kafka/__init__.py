"""The bars on a real Kafka: one broker on the same machine, the one that the tests start (so the repository is on the path)."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
