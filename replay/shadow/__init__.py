"""What other code would have decided: recorded inputs given to a candidate in a process that can do nothing else."""
