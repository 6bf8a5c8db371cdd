"""What can become of an input; strings on the wire, because the set may grow."""

from typing import Final

DECIDED: Final = "decided"
REFUSED: Final = "refused"
DUPLICATE: Final = "duplicate"
EXPIRED: Final = "expired"
MALFORMED: Final = "malformed"
FORWARDED: Final = "forwarded"
FAILED: Final = "failed"
QUARANTINED: Final = "quarantined"
UNDELIVERABLE: Final = "undeliverable"
CANCELLED: Final = "cancelled"
