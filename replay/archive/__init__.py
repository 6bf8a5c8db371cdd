"""The archive: the log's committed records as typed Parquet, under numbered manifests that are the truth."""
