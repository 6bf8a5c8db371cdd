-- Request latency: from a request's append to its answer's, by type of request
-- param since instant -1d  requests appended at or after this
WITH requests AS (
    SELECT id, type, reply_to, appended_at FROM messages WHERE reply_to IS NOT NULL AND appended_at >= $since::TIMESTAMPTZ
),
answers AS (
    SELECT causation_id AS id, destination AS reply_to, min(appended_at) AS answered_at
    FROM messages
    WHERE causation_id IS NOT NULL AND appended_at >= $since::TIMESTAMPTZ
    GROUP BY ALL
),
timed AS (
    SELECT type, (epoch_us(answered_at) - epoch_us(appended_at)) / 1000 AS ms FROM requests LEFT JOIN answers USING (id, reply_to)
)
SELECT
    coalesce(type, '(all)') AS request,
    count(*) AS requests,
    count(*) FILTER (ms IS NULL) AS unanswered,
    round(quantile_cont(ms, 0.5), 3) AS p50_ms,
    round(quantile_cont(ms, 0.95), 3) AS p95_ms,
    round(quantile_cont(ms, 0.99), 3) AS p99_ms
FROM timed
GROUP BY GROUPING SETS ((), (timed.type))
ORDER BY timed.type NULLS FIRST
