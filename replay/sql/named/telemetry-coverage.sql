-- Telemetry coverage: samples that came, of those that a running component should have sent
-- param since instant -7d  the time from this on
-- param period_s number 5  seconds between two samples of a component
WITH started AS (
    SELECT substring(record_key, 11) AS component, incarnation, min(at_) AS began
    FROM component_started GROUP BY ALL
),
exited AS (
    SELECT substring(record_key, 11) AS component, exit.incarnation AS incarnation, max(envelope.sent_at) AS ended
    FROM component_exited WHERE NOT exit.restarting GROUP BY ALL
),
ran AS (
    SELECT component, incarnation,
        greatest(epoch(least(coalesce(ended, now()), now())) - epoch(greatest(began, $since::TIMESTAMPTZ)), 0) AS seconds
    FROM started LEFT JOIN exited USING (component, incarnation)
),
came AS (
    SELECT component, incarnation, count(*) AS samples
    FROM metric_samples
    WHERE metric = 'rss_mb' AND sampled_at >= $since::TIMESTAMPTZ
    GROUP BY ALL
),
together AS (
    SELECT component, floor(seconds / $period_s::DOUBLE) AS expected, least(coalesce(samples, 0), expected) AS came
    FROM ran LEFT JOIN came USING (component, incarnation)
)
SELECT
    coalesce(component, '(all)') AS component,
    sum(expected)::BIGINT AS expected,
    sum(came)::BIGINT AS came,
    round(100 * sum(came) / nullif(sum(expected), 0), 2) AS coverage_percent
FROM together
GROUP BY GROUPING SETS ((), (together.component))
ORDER BY together.component NULLS FIRST
