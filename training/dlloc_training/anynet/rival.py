"""The conventional chain as a subject: automatic picks and a robust fit, for what a network does without a model."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.channels import ChannelIndex
from seiscomp_dlloc.errors import EventError
from seiscomp_dlloc.locate import Job, required_window
from seiscomp_dlloc.passport import Passport
from seiscomp_dlloc.records import Abstention, Hypocenter, ModelIdentity, Solution, Trigger
from seiscomp_dlloc.traveltimes import from_passport
from seiscomp_dlloc.units import m_to_km

from ..baselines import BOX_MARGIN_KM, ORIGIN_REACH_S
from ..conventional import MAX_DEPTH_KM, MIN_P, Chain, Phases
from ..local import LocalNetwork, Located
from ..tabled import tabled
from .conditions import scaled_earth
from .recordings import conditioned_for

NAME = "conventional"
REFERENCE_HZ = 20.0
"""The chain's lengths of time and space were chosen for regional networks at this rate."""

START_DEPTH_KM = 5.0
FEWEST_P, SPARE = 4, 2
"""The least number of P picks is six or, of few stations, that of all but SPARE, and never less than FEWEST_P."""

NOTE = (
    "conventional: STA/LTA and AIC picks of P, association by votes for origin times within "
    f"{ORIGIN_REACH_S:g} s of the trigger's, Cauchy least squares, S picks near their predicted times; in the same "
    "earth, without station corrections; it fails where too few picks agree or the fit ends more than "
    f"{BOX_MARGIN_KM:g} km outside of the network, and judges nothing."
)


@dataclass(frozen=True)
class Conventional:
    """Picks, association and robust least squares in ``earth`` (a passport's ``earth_model``) on ``network``.

    It sees what a model with this ``passport`` sees, at REFERENCE_HZ at least. At higher rates, those of small
    networks, all of its lengths are as much shorter.
    """

    passport: Passport
    inventory: Any
    network: LocalNetwork
    earth: dict[str, Any]
    name: str = NAME
    _chains: dict[float, Chain] = field(default_factory=dict, repr=False, compare=False)

    judges = False

    def identity(self) -> dict[str, Any]:
        """See :class:`~.subjects.Subject`."""
        seen = [(s.preprocessing.sampling_rate_hz, s.preprocessing.band_hz) for s in self.passport.scales]
        return {"chain": NAME, "version": 1, "earth": self.earth, "rates and bands": seen}

    def window(self, trigger: Trigger) -> tuple[float, float]:
        """See :class:`~.subjects.Subject`."""
        return required_window(trigger, self.passport)

    def in_earth(self, velocity_percent: float) -> "Conventional":
        """See :class:`~.subjects.Subject`."""
        if not velocity_percent:
            return self
        return replace(self, earth=scaled_earth(self.earth, velocity_percent), _chains={})

    def locate(self, job: Job) -> Solution:
        """See :class:`~.subjects.Subject`."""
        failed = Solution(job.trigger, _IDENTITY)
        try:
            found = self.associated(job)
        except EventError as error:
            return replace(failed, abstention=Abstention(error.reason, str(error)))
        if found is None:
            return replace(failed, abstention=Abstention("too few picks", "too few picks agree on a place"))
        place, phases, starttime = found
        west, east, south, north = self._box
        if not (west <= place.x_km <= east and south <= place.y_km <= north):
            return replace(failed, abstention=Abstention("outside region", "the fit left the region of the search"))
        used = tuple(self.network.stations[k].id for k in np.unique(phases.station))
        return replace(failed, hypocenter=self._hypocenter(place, starttime), used_stations=used)

    def associated(self, job: Job) -> tuple[Located, Phases, float] | None:
        """The place, the picks that it rests on, and the time that both count from (POSIX s); None where too few picks
        agree. Raises EventError where there is nothing to pick.
        """
        if job.error is not None:
            raise job.error
        settings, conditioned = conditioned_for(job, self.passport, self._index, self.network.stations, REFERENCE_HZ)
        scale = min(REFERENCE_HZ / settings.sampling_rate_hz, 1.0)
        live = int(np.count_nonzero(conditioned.valid.any(axis=(0, 2))))
        middle, reach = job.trigger.time - conditioned.starttime, scale * ORIGIN_REACH_S
        least = max(min(MIN_P, live - SPARE), FEWEST_P)
        found = self._chain(scale).run(conditioned, middle - reach, middle + reach, least)
        return None if found is None else (*found, conditioned.starttime)

    @property
    def _box(self) -> tuple[float, float, float, float]:
        return self.network.box(BOX_MARGIN_KM)

    @cached_property
    def _index(self) -> ChannelIndex:
        return ChannelIndex.from_inventory(self.inventory)

    def _chain(self, scale: float) -> Chain:
        if scale not in self._chains:
            network, box = self.network, self._box
            elevation = np.array([station.elevation_m for station in network.stations], float)
            surface = -m_to_km(float(elevation.max()))
            farthest = float(np.hypot(box[1] - box[0], box[3] - box[2]))
            times = tabled(from_passport(self.earth), elevation, farthest, (surface, MAX_DEPTH_KM), scale)
            start = surface + scale * START_DEPTH_KM
            self._chains[scale] = Chain(times, network, box, start, surface_km=surface, scale=scale)
        return self._chains[scale]

    def _hypocenter(self, found: Located, starttime: float) -> Hypocenter:
        latitude, longitude = self.network.frame.to_geographic(found.x_km, found.y_km)
        unknown: NDArray[np.float64] = np.full((3, 3), np.nan)
        return Hypocenter(float(latitude), float(longitude), found.depth_km, unknown, starttime + found.time_s)


_IDENTITY = ModelIdentity(NAME, "1", "", "")
