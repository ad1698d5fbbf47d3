"""What is measured: whatever answers a job with a solution, in the right earth or in a wrong one."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from seiscomp_dlloc.arrivals.corrections import StationCorrections
from seiscomp_dlloc.formats.corrections import corrections_json
from seiscomp_dlloc.locate import Job, Locator, RunsModel, required_window
from seiscomp_dlloc.records import Solution, Trigger
from seiscomp_dlloc.solution import Options
from seiscomp_dlloc.traveltimes import hash_of, name_of

from .conditions import scaled_earth


class Subject(Protocol):
    """What :func:`~.asking.ask` asks. ``name``: no other has it. ``judges``: whether it says what it stands by."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def judges(self) -> bool: ...  # noqa: D102

    def identity(self) -> dict[str, Any]:
        """Everything that its answers depend on beside the job, for JSON."""
        ...

    def window(self, trigger: Trigger) -> tuple[float, float]:
        """Start and end (POSIX s) of the waveforms that it asks for."""
        ...

    def locate(self, job: Job) -> Solution:
        """Its answer; what went wrong is the answer's abstention."""
        ...

    def in_earth(self, velocity_percent: float) -> "Subject":
        """The same where all velocities of its earth are so much higher."""
        ...


@dataclass(frozen=True)
class ModelSubject:
    """A model for any network at work in the plugin's own locator. ``earth``: None is the model's own."""

    name: str
    model: RunsModel
    inventory: Any
    earth: dict[str, Any] | None = None
    corrections: StationCorrections | None = None

    judges = True

    @cached_property
    def locator(self) -> Locator:
        """Made when first asked, kept with its tables."""
        return Locator(self.model, self.inventory, Options(magnitude=False), self.earth, self.corrections)

    def identity(self) -> dict[str, Any]:
        """See :class:`Subject`."""
        delays = None if self.corrections is None else hashlib.sha256(corrections_json(self.corrections)).hexdigest()
        return {"model": self.model.identity.sha256, "earth": self._earth, "corrections": delays}

    @property
    def _earth(self) -> dict[str, Any]:
        return self.earth or self.model.passport.earth_model

    def window(self, trigger: Trigger) -> tuple[float, float]:
        """See :class:`Subject`."""
        return required_window(trigger, self.model.passport)

    def locate(self, job: Job) -> Solution:
        """See :class:`Subject`."""
        (located,) = self.locator.run([job])
        return located.solution

    def in_earth(self, velocity_percent: float) -> "ModelSubject":
        """See :class:`Subject`; station corrections stay what they are."""
        if not velocity_percent:
            return self
        earth, corrections = scaled_earth(self._earth, velocity_percent), self.corrections
        if corrections is not None:
            _ = self.locator  # which refuses corrections of another earth
            corrections = replace(corrections, earth_model=name_of(earth), earth_hash=hash_of(earth))
        return replace(self, earth=earth, corrections=corrections)
