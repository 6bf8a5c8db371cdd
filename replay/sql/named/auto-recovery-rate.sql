-- Auto-recovery rate: the share of ended incidents that ended well without a person
-- param since instant -7d  incidents that began at or after this
SELECT
    coalesce(component_id, '(all)') AS component,
    count(*) FILTER (result <> 'open') AS ended,
    count(*) FILTER (result IN ('healed', 'healthy')) AS recovered,
    count(*) FILTER (result NOT IN ('healed', 'healthy', 'open')) AS not_recovered,
    count(*) FILTER (result = 'open') AS still_open,
    round(100 * count(*) FILTER (result IN ('healed', 'healthy')) / nullif(count(*) FILTER (result <> 'open'), 0), 2) AS rate_percent
FROM incidents
WHERE result <> 'superseded' AND opened_at >= $since::TIMESTAMPTZ
GROUP BY GROUPING SETS ((), (component_id))
ORDER BY component_id NULLS FIRST
