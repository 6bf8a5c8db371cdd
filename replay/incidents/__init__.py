"""What went wrong in the fleet, when, and how each case ended: from the supervisors' own events."""
