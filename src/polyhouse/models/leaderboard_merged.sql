-- leaderboard_merged: leaderboard_history of all shards, from the first /*places*/ of each (leaderboard_places).
SELECT day, category, window, sort, toUInt32(row_number() OVER (PARTITION BY category, window, sort ORDER BY key DESC, wallet)) AS rank,
       wallet, above, below, as_of
FROM
(
    SELECT *, intDiv(toInt256(above) * toInt256('100000000000000000000000000000000000000'), toInt256(below)) AS key
    FROM leaderboard_places
)
ORDER BY category, window, sort, rank
LIMIT /*places*/ BY category, window, sort
