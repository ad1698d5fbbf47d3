"""The command ``dlloc``, one file per subcommand."""

EXIT_OK = 0
EXIT_EVENTS = 1
"""Some events were abstained or failed, or a check did not pass."""
EXIT_INPUT = 2
"""The run could not start or go on with what was given."""
