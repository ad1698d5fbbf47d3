"""The size that a network was trained at, by which machine and in what time: what every table has to name."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically

FILE = "meta.json"


@dataclass(frozen=True)
class Meta:
    """``network``: its kind; ``parameters``: trained weights; ``seconds`` of training on ``machine``."""

    title: str
    network: str
    parameters: int
    training_events: int
    windows_per_epoch: int
    epochs: int
    seconds: float
    machine: str

    def save(self, folder: Path) -> None:
        """Write ``meta.json`` into ``folder``, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "Meta":
        """Read what :meth:`save` wrote; SettingError where it is not there or lacks something."""
        try:
            row = json.loads(path.read_text("utf-8"))
            return cls(**{f.name: row[f.name] for f in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingError(
                f"{path}: does not say how the network was trained ({error!r}); evaluate again"
            ) from error
