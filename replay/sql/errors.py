"""What can be wrong with a query.

HmsError
├── CallerError
│   └── QueryRefused        it is not one SELECT, or names what there is not
└── QueryStopped            it needed more memory or time than it may have
"""

from ...core.errors import CallerError, HmsError


class QueryRefused(CallerError):
    """The query cannot run as it is: not one SELECT statement, a mistake in it, or a parameter that is missing."""


class QueryStopped(HmsError):
    """The query was ended because it needed more than its limits; nothing else is affected."""
