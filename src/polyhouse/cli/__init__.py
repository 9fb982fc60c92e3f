"""The command line. Each module holds one group of commands; ``app`` lists them and loads them on use."""
