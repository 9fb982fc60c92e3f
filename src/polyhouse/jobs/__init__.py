"""Work that a server does on its own or on demand: the actions, the thread that does them, the schedule."""
