-- Mean time to recovery: how long components were ill before they were well again
-- param since instant -7d  incidents that began at or after this
SELECT
    coalesce(component_id, '(all)') AS component,
    count(*) AS recovered,
    round(avg(duration_ms) / 1000, 3) AS mttr_s,
    round(quantile_cont(duration_ms, 0.5) / 1000, 3) AS median_s,
    round(quantile_cont(duration_ms, 0.95) / 1000, 3) AS p95_s,
    round(max(duration_ms) / 1000, 3) AS longest_s
FROM incidents
WHERE result IN ('healed', 'healthy') AND opened_at >= $since::TIMESTAMPTZ
GROUP BY GROUPING SETS ((), (component_id))
ORDER BY component_id NULLS FIRST
