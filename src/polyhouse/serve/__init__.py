"""The HTTP API: public read-only routes, a page with the leaderboard, and the door for other local processes."""
