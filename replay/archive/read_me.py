"""The README that lies in every archive: how to read it without HMS."""

import textwrap
from typing import Final

_TEXT: Final = """\
# An archive of HMS

Every committed record of a log (but its checkpoints), as Parquet that DuckDB, Spark, pandas or Polars read.

    archive.json                       which archive this is
    policy.json                        what is kept for how long (optional)
    data/type=T/date=D/*.parquet       the records: a folder a type and a day (UTC) of appending
    manifests/shard=N/*.json           what counts: a file that no manifest names is the rubbish of a crash
    snapshots/shard=N/*.parquet        states, for ranges that were deleted by policy
    nodes/*.json                       tokens, by which nodes prove that all of them see this folder

The columns of every file: `topic, shard, position` (the place in the log), `appended_at`, `record_key`, `envelope` (id,
source, destination, type, sent_at, correlation_id, causation_id, reply_to, priority, ttl_ms, version), then the
record's own fields, then `headers` and `bytes` (the record as it was written). A field whose name is taken, or reserved
in SQL, has a trailing `_`. What could not be read is in `type=hms.Unreadable`, with its bytes and the reason.

The files that count are those of the manifests' `add` without those of a later `remove`; a manifest with `whole` holds
all of them, and none before it is needed. DuckDB puts that together:

{SQL}
    SET VARIABLE files = (SELECT list(path) FROM archived('.') WHERE type = 'hms.ComponentStarted');
    SELECT * FROM read_parquet(getvariable('files'), union_by_name = true);

Nothing here is ever overwritten. Delete nothing by hand: `hms archive compact` does it, by policy, after a grace.
"""

SQL: Final = """\
CREATE MACRO archived(root) AS TABLE
WITH manifests AS (
  FROM read_json(root || '/manifests/*/*.json', columns = {
    shard: 'INTEGER', number: 'BIGINT',
    whole: 'STRUCT(files STRUCT(path VARCHAR, "type" VARCHAR)[])',
    add: 'STRUCT(path VARCHAR, "type" VARCHAR)[]', remove: 'STRUCT(path VARCHAR)[]'}, maximum_object_size = 1000000000)
), latest AS (
  SELECT shard, max(number) AS since FROM manifests WHERE whole IS NOT NULL GROUP BY shard
), kept AS (
  SELECT unnest(whole.files) AS file FROM manifests JOIN latest USING (shard) WHERE number = since
  UNION ALL SELECT unnest(add) FROM manifests JOIN latest USING (shard) WHERE number > since
), gone AS (
  SELECT unnest(remove).path AS path FROM manifests JOIN latest USING (shard) WHERE number > since
)
SELECT root || '/' || file.path AS path, file."type" AS type FROM kept WHERE file.path NOT IN (SELECT path FROM gone);
"""
"""Makes `archived(FOLDER)`, a table of the files that count: `path`, `type`."""

README: Final = _TEXT.replace("{SQL}\n", textwrap.indent(SQL, "    "))
