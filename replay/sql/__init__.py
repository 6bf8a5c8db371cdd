"""SQL over archive and log at one moment: a view per record type, read by a child process that can do nothing else."""
