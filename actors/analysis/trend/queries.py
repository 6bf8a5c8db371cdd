"""The SQL of trends, for DuckDB.

`samples(series, at_us, value)` are those of buckets that are still open, `buckets(series, bucket, middle, samples)` the medians of
those that are closed. A bucket is `width_us` wide and numbered from 1970, so that it is the same whenever it is computed.
"""

from typing import Final

TABLES: Final = """
create table samples (series varchar, at_us bigint, value double);
create table buckets (series varchar, bucket bigint, middle double, samples bigint);
"""

FRESH: Final = """
insert into samples
select arrived.series::varchar, at_us, value
from arrived left join (select series, max(bucket) as closed from buckets group by series) done
  on done.series = arrived.series::varchar
where isfinite(value) and (closed is null or at_us // $width_us > closed)
"""

CLOSE: Final = """
insert into buckets
select series, at_us // $width_us as bucket, median(value), count(*)
from samples
join (select series, max(at_us) // $width_us as newest from samples group by series) using (series)
where at_us // $width_us < newest
group by series, bucket
"""

FORGET: Final = """
delete from samples
using (select series, max(bucket) as closed from buckets group by series) done
where samples.series = done.series and samples.at_us // $width_us <= done.closed
"""

FORGET_BEFORE: Final = "delete from buckets where bucket < $bucket"

WINDOW: Final = """
with every as (
  select series, bucket, middle from buckets
  union all
  select series, at_us // $width_us, median(value) from samples group by all
)
select series, bucket, middle,
  row_number() over (partition by series order by bucket) as place
from every
qualify row_number() over (partition by series order by bucket desc) <= $buckets
"""

POINTS: Final = "select bucket, middle from window_of_buckets where series = $series order by bucket"

ALL_POINTS: Final = "select series, bucket, middle from window_of_buckets order by series, bucket"

TREND: Final = """
with points as materialized (select * from window_of_buckets),
size as (
  select series, count(*) as n, median(middle) as level, min(bucket) as first, max(bucket) as last from points group by series
),
pairs as (
  select a.series, (b.middle - a.middle) / (b.bucket - a.bucket) as slope, sign(b.middle - a.middle) as direction
  from points a join points b on a.series = b.series and a.bucket < b.bucket
),
sen as (select series, median(slope) as slope, sum(direction) as s from pairs group by series),
ties as (
  select series, sum(t * (t - 1) * (2 * t + 5)) as ties
  from (select series, count(*) as t from points group by series, middle) group by series
),
ranked as (
  select p.series, p.place,
    rank() over (partition by p.series order by p.middle - sen.slope * p.bucket)
    + (count(*) over (partition by p.series, p.middle - sen.slope * p.bucket) - 1) / 2.0 - (n + 1) / 2.0 as centred
  from points p join sen using (series) join size using (series)
),
energy as (select series, sum(centred * centred) as energy from ranked group by series),
echoes as (
  select a.series, b.place - a.place as lag, sum(a.centred * b.centred) / any_value(energy) as echo
  from ranked a join ranked b on a.series = b.series and b.place > a.place and b.place - a.place <= 20
    join energy on a.series = energy.series
  where energy > 0
  group by a.series, lag
),
correction as (
  select series, 1 + 2 * sum((n - lag) * (n - lag - 1) * (n - lag - 2) * echo) / (n * (n - 1.0) * (n - 2)) as correction
  from echoes join size using (series) where n > 3 and abs(echo) > 1.96 / sqrt(n) group by series, n
)
select series, n, level, first, last, slope, s,
  (n * (n - 1.0) * (2 * n + 5) - ties) / 18 as variance,
  greatest(coalesce(correction, 1), 1) as correction
from size join sen using (series) join ties using (series) left join correction using (series)
order by series
"""

SEASON: Final = """
with hours as (
  select series, (bucket * $width_us) // 3600000000 as hour, median(middle) as middle from buckets group by all
),
cells as (
  select series, hour % $hours as slot, middle, median(middle) over (partition by series) as level,
    row_number() over (partition by series, slot order by hour) as place
  from hours
),
slots as (select series, slot, list(middle order by place) as cycles from cells group by series, slot),
usual as (
  select series, middle, level, len(cycles) as seen,
    list_aggregate(list_filter(cycles, lambda one, its_place: its_place <> place), 'median') as usual
  from cells join slots using (series, slot)
),
spread as (
  select series, median(abs(middle - usual)) as around_usual, median(abs(middle - level)) as around_level, min(seen) as seen
  from usual group by series
)
select series, case when around_level > 0 then greatest(0, 1 - around_usual / around_level) else 0 end as strength, seen
from spread where seen > 1 order by series
"""
"""What is usual in an hour is what the other cycles say of it: whatever moves slowly is like itself an hour ago."""
