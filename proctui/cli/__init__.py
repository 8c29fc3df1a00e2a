"""The command line: thin, lazy, and the same look everywhere."""
