"""Kafka's own tools, by the names that they have in a distribution of Kafka."""

import os
import subprocess
from pathlib import Path

from .jars import jars, java

TOOLS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-reassign-partitions.sh": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}


def put_tools(folder: Path) -> None:
    """Put them into a folder, for a path."""
    for script, main in TOOLS.items():
        tool = folder / script
        tool.write_text(f'#!/bin/sh\nexec {java()} -XX:TieredStopAtLevel=1 -cp "{jars()}/*" {main} "$@"\n')
        tool.chmod(0o755)


def paste(lines: list[str], folder: Path) -> None:
    """Run lines as HMS printed them, in a shell that has the tools in its path."""
    put_tools(folder)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
