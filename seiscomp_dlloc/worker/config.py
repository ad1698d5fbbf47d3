"""What a worker is started with; travels to the engine as JSON. Standard library only."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ProfileConfig:
    """What a job gets where it names nothing else. '' and None: not given.

    ``min_peak`` and ``min_stations``: a solution with less is not stood by, whatever the model allows.
    ``earth_model``: a model of TauP, a file or a folder of time grids; ``corrections``: a file. Both for a model of any
    network alone.
    """

    name: str
    model: str = ""
    waveforms: str = ""
    inventory: str = ""
    max_distance_km: float | None = None
    min_peak: float | None = None
    min_stations: int | None = None
    earth_model: str = ""
    corrections: str = ""


@dataclass(frozen=True)
class WorkerConfig:
    """Settings of a worker.

    ``jobs`` locate at once, ``queue`` more may wait; ``threads`` of the model, 0 for its own choice. ``deadline_s`` of
    a job that states none. ``recordstream``: command of the host's helper, '' where there is none. ``ring_s``: length
    of the ring of recent data, 0 for none. ``bundles``: folder of the bundles that are kept, ``most_bundles`` of them.

    Where they come from: ``settings``, the fingerprint of the settings that were read; ``config_file``, the file that
    was named in place of the host's; ``options``, whether options of the command line changed any.
    """

    socket: str
    log_file: str = ""
    jobs: int = 2
    queue: int = 64
    threads: int = 1
    provider: str = "auto"
    require_gpu: bool = False
    deadline_s: float = 60.0
    recordstream: str = ""
    ring_s: float = 0.0
    bundles: str = ""
    most_bundles: int = 200
    profiles: tuple[ProfileConfig, ...] = field(default=(ProfileConfig("default"),))
    settings: str = ""
    config_file: str = ""
    options: bool = False

    @property
    def log(self) -> Path:
        """The log's file: the one given, else beside the socket."""
        return Path(self.log_file) if self.log_file else Path(os.path.splitext(self.socket)[0] + ".log")

    def to_json(self) -> dict[str, Any]:
        """Inverse of :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "WorkerConfig":
        """From what :meth:`to_json` gave."""
        profiles = tuple(ProfileConfig(**profile) for profile in document["profiles"])
        return cls(**{**document, "profiles": profiles})
