"""What each known type of task takes (core components, section 6): the typed form of its `parameters`."""

from typing import Annotated, Final, Literal

from pydantic import Field

from .analysis import Minutes, Names
from .fleet import Identifier
from .record import Record

BackoffStrategy = Literal["exponential", "linear", "constant", "none"]


class RecoveryParameters(Record):
    """Recover one component: at most `max_retries` further tries after the first, apart as `backoff_strategy` says.

    `health_status` and `message` come with a task made from a health change (section 4.1), `action` from the protocol
    document (section 2.3); they say why and change nothing.
    """

    component_id: Identifier
    failure_reason: str = ""
    max_retries: Annotated[int, Field(ge=0, le=100)] = 3
    backoff_strategy: BackoffStrategy = "exponential"
    action: Literal["restart"] = "restart"
    health_status: str = ""
    message: str = ""


class AnalysisParameters(Record):
    """Analyse components over a time range."""

    components: Names
    metrics: Names
    time_range_minutes: Minutes
    generate_report: bool = False


class OptimizationParameters(Record):
    """Search for better parameters of components."""

    target: str
    components: tuple[str, ...]
    max_generations: Annotated[int, Field(ge=1)]
    population_size: Annotated[int, Field(ge=1)]
    evaluation_criteria: tuple[str, ...]


class GovernanceParameters(Record):
    """Check components against a policy."""

    policy_type: str
    components: tuple[str, ...]
    generate_report: bool = False
    alert_on_violation: bool = False


TASK_PARAMETERS: Final[dict[str, type[Record]]] = {
    "Recovery": RecoveryParameters,
    "Analysis": AnalysisParameters,
    "Optimization": OptimizationParameters,
    "Governance": GovernanceParameters,
}
