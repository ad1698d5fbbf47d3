"""The worker's settings: the operator's file where there is one, options of the command line over it."""

import os
import tempfile
from dataclasses import replace
from typing import Any

from .config import ProfileConfig, WorkerConfig


def default_socket() -> str:
    """Where a worker without settings listens: the run directory of SeisComP, else of the user."""
    root = os.environ.get("SEISCOMP_ROOT")
    if root:
        return os.path.join(root, "var", "run", "dlloc.sock")
    folder = os.environ.get("XDG_RUNTIME_DIR") or os.path.join(tempfile.gettempdir(), f"dlloc-{os.getuid()}")
    return os.path.join(folder, "dlloc.sock")


def load_config(file: str | None, given: dict[str, Any], profile: dict[str, str]) -> WorkerConfig:
    """Settings of ``file`` (None: SeisComP's, else those built in), ``given`` and the first ``profile``'s over them.

    Raises SettingError naming the setting and the file.
    """
    config = WorkerConfig(default_socket())
    config = replace(config, **given)
    if profile:
        first = config.profiles[0] if config.profiles else ProfileConfig("default")
        config = replace(config, profiles=(replace(first, **profile), *config.profiles[1:]))
    return config
