"""Subcommands of ``python -m dlloc_training``."""
