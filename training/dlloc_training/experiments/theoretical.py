"""The theoretical events of an experiment as records, read one by one from their file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.passport import Preprocessing
from seiscomp_dlloc.preprocess import condition
from seiscomp_dlloc.records import TraceBlock

from .dataset import Dataset
from .drawing import MadeEvents
from .records import Record, Truth


class TheoreticalRecords(Sequence[Record]):
    """Records of the events ``chosen``. ``settings``: where their preprocessing takes data that come filtered
    (``prefiltered``), the records are filtered as such data are.
    """

    def __init__(self, data: Dataset, events: MadeEvents, chosen: NDArray[np.int64], settings: Preprocessing):
        self._data, self._events, self._chosen, self._settings = data, events, chosen, settings
        self._rate = float(data.header["settings"]["records"]["sampling_rate_hz"])
        self._origin = -float(data.header["start_s"])

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "TheoreticalRecords": ...
    def __getitem__(self, index: int | slice) -> "Record | TheoreticalRecords":
        """One record, or those of a slice."""
        if isinstance(index, slice):
            return TheoreticalRecords(self._data, self._events, self._chosen[index], self._settings)
        row, events = int(self._chosen[index]), self._events
        data = filtered(self._data.read(row, row + 1)[0], self._rate, self._settings)
        truth = Truth(
            float(events.latitude[row]),
            float(events.longitude[row]),
            float(events.depth_km[row]),
            float(events.magnitude[row]),
        )
        return Record(f"event{row:05d}", data, np.ones(data.shape, bool), self._rate, self._origin, truth)


def filtered(data: NDArray[np.float32], rate_hz: float, settings: Preprocessing) -> NDArray[np.float32]:
    """``data`` (3, station, sample) as it comes from a source that filters, where the settings say that one does."""
    if not settings.prefiltered:
        return data
    block = TraceBlock(np.arange(data.shape[1]), data.astype(np.float64), np.ones(data.shape, bool), rate_hz, 0.0)
    # At the data's own rate: the preprocessing changes it later, as for data from elsewhere
    own = replace(settings, sampling_rate_hz=rate_hz, prefiltered=False, warmup_s=0.0)
    return condition((block,), data.shape[1], own).data
