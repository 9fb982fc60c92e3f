"""What Python programs use (docs/python.md), and the command line with them: `polyhouse.open()` is in `api.house`."""
