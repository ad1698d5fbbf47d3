"""Migration where travel times come from grids that end somewhere."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..arrivals.base import ArrivalTimes
from ..arrivals.grids import GridArrivals
from ..heads import Estimate
from ..records import Station
from ..representations import ModelInput
from .locating import Migrator, Run


class GridMigrator(Migrator):
    """A migrator whose places at the border of ``grids``, or beyond it, count as at the edge of what was searched."""

    def __init__(self, arrivals: ArrivalTimes, grids: GridArrivals, doubted: float, left_share: float = 1.0):
        super().__init__(arrivals, doubted, left_share, below=False)
        self._grids = grids

    def locate(self, run: Run, built: ModelInput, stations: Sequence[Station], *args: Any, **kwargs: Any) -> Estimate:
        """See :meth:`Migrator.locate`."""
        estimate = super().locate(run, built, stations, *args, **kwargs)
        used = [station for station in stations if station.id in frozenset(built.used)]
        at_edge = self._grids.at_edge(estimate.latitude, estimate.longitude, estimate.depth_km, used)
        return replace(estimate, at_edge=True) if at_edge else estimate
