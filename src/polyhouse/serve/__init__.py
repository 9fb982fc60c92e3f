"""The server: the HTTP API, the dashboard, and the door for other local processes."""
