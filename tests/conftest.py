"""What every test runs under; the last line of a run names what was skipped and why."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import structlog

import hms

# A real Kafka starts when a test asks for it.
from .kafka.fixtures import broker, cluster, kafka, kafka_url, make_broker, own_broker, proxy, three_brokers  # noqa: F401

hypothesis.settings.register_profile("hms", deadline=None, print_blob=True)  # a busy machine is not a failure
hypothesis.settings.load_profile("hms")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a command that a test runs in its own process does to the log's lines: they would go to that test's stderr."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_report_header() -> str:
    return f"hms {hms.__version__} from {hms.__file__}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Drop the settings of a user's own fleet, and let the summary line name what did not run and why."""
    os.environ.pop("HMS_LOG", None)
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    build = reporter.build_summary_stats_line

    def with_reasons() -> tuple[list[tuple[str, dict[str, bool]]], str]:
        parts, color = build()
        reasons = Counter(_reason(report) for report in reporter.stats.get("skipped", ()))
        return parts + [(f"NOT RUN: {reason} ({count})", {"yellow": True}) for reason, count in reasons.items()], color

    reporter.build_summary_stats_line = with_reasons


def _reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
