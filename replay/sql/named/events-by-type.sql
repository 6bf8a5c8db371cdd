-- Events by type: how many of each, and when the newest came
-- param since instant -7d  events appended at or after this
SELECT type, count(*) AS events, max(appended_at) AS newest
FROM events
WHERE appended_at >= $since::TIMESTAMPTZ
GROUP BY type
ORDER BY events DESC, type
