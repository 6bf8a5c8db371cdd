"""The log's readers: history over archive and tail, Parquet, SQL, audit, time travel."""
