"""What can be wrong with what somebody shows as proof.

HmsError
└── CallerError
    └── NotAProof           a note, key or proof that is not what its format says, or does not prove what it claims
"""

from ...core.errors import CallerError


class NotAProof(CallerError):
    """A key, checkpoint or proof that cannot be read, or does not hold."""
