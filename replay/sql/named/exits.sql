-- Exits: which components ended, how often, and how
-- param since instant -7d  exits reported at or after this
-- param component text %  only components like this (% is anything)
SELECT
    substring(record_key, 11) AS component,
    count(*) AS exits,
    count(*) FILTER (NOT exit.expected) AS unexpected,
    arg_max(exit.cause, position) AS last_cause,
    max(envelope.sent_at) AS last_at
FROM component_exited
WHERE envelope.sent_at >= $since::TIMESTAMPTZ AND substring(record_key, 11) LIKE $component
GROUP BY ALL
ORDER BY unexpected DESC, exits DESC, component
