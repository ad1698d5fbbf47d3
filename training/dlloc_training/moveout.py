"""Travel times calibrated on the waveforms of events whose hypocentres are known.

P is picked on a characteristic function of the verticals, S on one of the horizontals, within a window around the
prediction that narrows from pass to pass; straight rays, a delay per phase, a term per station and phase and a term
per event are fitted to the picks, all at once and robustly. The event term takes up what is wrong with the origin
time or with the start of the window.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

FloatArray = NDArray[np.float64]

WINDOWS_S = (3.0, 2.5, 2.0, 1.5, 1.2, 1.0)
"""Half widths of the search windows of the passes."""


@dataclass(frozen=True)
class Records:
    """Characteristic functions of many events on one time axis, and where the events were.

    ``p`` and ``s`` (event, station, sample): any function that peaks at the onset, such as the logarithm of
    STA/LTA; NaN where there is none. ``origin_s`` (event,): origin time in seconds after sample 0. ``distance_km``
    (event, station): hypocentral distance. Where a model of the earth is known, ``distance_km`` may be travel times of
    P and ``s_distance`` those of S: the velocities that are fitted are then factors, about 1.
    """

    p: NDArray[np.floating]
    s: NDArray[np.floating]
    sampling_rate_hz: float
    origin_s: FloatArray
    distance_km: FloatArray
    s_distance: FloatArray | None = None

    def __post_init__(self) -> None:
        events, stations = self.distance_km.shape
        for name, shape in (("p", self.p.shape[:2]), ("s", self.s.shape[:2]), ("origin_s", (*self.origin_s.shape, 0))):
            wanted = (events, 0) if name == "origin_s" else (events, stations)
            if shape != wanted:
                raise ValueError(f"{name} is of {shape} events and stations, distance_km of {(events, stations)}")


_NUMBERS = ("vp", "vs", "p_delay", "s_delay", "p_mad_s", "s_mad_s", "p_picks", "s_picks")


@dataclass(frozen=True)
class MoveoutModel:
    """Straight-ray travel times with terms: time = distance / velocity + delay + station term (+ event term).

    ``p_terms``, ``s_terms`` (station,) s; ``event_terms`` (event,) s, to be added to the events' origin times.
    Median of ``event_terms`` and means of the stations' terms are zero; the delays hold the rest. A station without
    picks has the term 0. ``p_mad_s``, ``s_mad_s``: median absolute residual; ``p_picks``, ``s_picks``: how many picks
    the last pass had.
    """

    vp: float
    vs: float
    p_delay: float
    s_delay: float
    p_terms: FloatArray
    s_terms: FloatArray
    event_terms: FloatArray
    p_mad_s: float
    s_mad_s: float
    p_picks: int
    s_picks: int

    def times(self, phase: str, distance_km: ArrayLike) -> FloatArray:
        """Travel time (s) of ``P`` or ``S`` for hypocentral distances (..., station) in km."""
        distance = np.asarray(distance_km, float)
        if phase == "P":
            return distance / self.vp + self.p_delay + self.p_terms
        if phase == "S":
            return distance / self.vs + self.s_delay + self.s_terms
        raise ValueError(f"phase must be P or S, not {phase!r}")

    def to_json(self, station_ids: tuple[str, ...]) -> str:
        """Velocities, delays, station terms by id and misfits; the events' terms are left out."""
        document = {name: getattr(self, name) for name in _NUMBERS} | {
            "station_terms_s": {
                station: [round(float(p), 4), round(float(s), 4)]
                for station, p, s in zip(station_ids, self.p_terms, self.s_terms, strict=True)
            }
        }
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str, station_ids: tuple[str, ...]) -> "MoveoutModel":
        """Inverse of :meth:`to_json`, without event terms; raises ValueError or KeyError on another document."""
        document = json.loads(text)
        terms = np.array([document["station_terms_s"][station] for station in station_ids], float)
        numbers = {name: document[name] for name in _NUMBERS}
        return cls(p_terms=terms[:, 0], s_terms=terms[:, 1], event_terms=np.zeros(0), **numbers)

    def earth_model(self) -> dict[str, Any]:
        """The network's mean travel times as a passport's ``earth_model``: one layer and two delays."""
        return {
            "kind": "layers",
            "layers": [{"top_km": 0.0, "vp_km_s": round(self.vp, 4), "vs_km_s": round(self.vs, 4)}],
            "p_delay_s": round(self.p_delay, 4),
            "s_delay_s": round(self.s_delay, 4),
        }


def pick(
    function: NDArray[np.floating], rate_hz: float, expected_s: FloatArray, half_width_s: float, least: float
) -> FloatArray:
    """Times (..., ) of the highest value of ``function`` (..., sample) within a window about ``expected_s`` (...,).

    NaN where the highest value is below ``least``, or stands at an end of the window (then it is no maximum), or the
    window has no value at all. The maximum is refined by the parabola through it and its neighbours.
    """
    samples = function.shape[-1]
    reach = round(half_width_s * rate_hz)
    usable = np.isfinite(expected_s)
    centre = np.rint(np.where(usable, expected_s, 0.0) * rate_hz).astype(np.int64)
    index = centre[..., None] + np.arange(-reach, reach + 1)
    inside = usable[..., None] & (index >= 0) & (index < samples)
    values = np.take_along_axis(function, np.clip(index, 0, samples - 1), axis=-1).astype(np.float64)
    values = np.where(inside & np.isfinite(values), values, -np.inf)
    best = np.argmax(values, axis=-1)
    middle = np.clip(best, 1, 2 * reach - 1)

    def at(offset: int) -> FloatArray:
        return np.asarray(np.take_along_axis(values, (middle + offset)[..., None], axis=-1)[..., 0])

    before, peak, after = at(-1), at(0), at(1)
    good = (best == middle) & np.isfinite(before) & np.isfinite(peak) & np.isfinite(after) & (peak >= least)
    before, peak, after = (np.where(good, v, 0.0) for v in (before, peak, after))
    bend = before - 2.0 * peak + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.where(good, (centre - reach + middle + shift) / rate_hz, np.nan)


def calibrate(
    records: Records,
    *,
    vp: float = 6.0,
    vs: float = 3.46,
    p_delay: float = 0.3,
    s_delay: float = 0.7,
    least: float = 1.5,
    windows_s: tuple[float, ...] = WINDOWS_S,
    scale_s: float = 0.2,
    term_sigma_s: float = 0.5,
    event_sigma_s: float = 1.0,
    factor_sigma: float | None = None,
) -> MoveoutModel:
    """Fit a :class:`MoveoutModel` to ``records``, from the given starting values.

    ``least``: least value of a characteristic function that is a pick. ``windows_s``: half width of the search in
    each pass. ``scale_s``: residual at which the Cauchy weight has fallen to one half. ``term_sigma_s`` and
    ``event_sigma_s``: how far station and event terms are allowed from zero (the ridge that keeps stations and
    events with few picks in place). ``factor_sigma``: the same for velocities that are factors, from one; without it
    they are free.

    Raises ValueError where a pass has fewer picks of a phase than unknowns of that phase.
    """
    events, stations = records.distance_km.shape
    model = MoveoutModel(
        vp, vs, p_delay, s_delay, np.zeros(stations), np.zeros(stations), np.zeros(events), np.nan, np.nan, 0, 0
    )
    s_distance = records.distance_km if records.s_distance is None else records.s_distance
    for half_width in windows_s:
        start = (records.origin_s + model.event_terms)[:, None]
        observed = [
            pick(function, records.sampling_rate_hz, start + model.times(phase, distance), half_width, least)
            - records.origin_s[:, None]
            for phase, function, distance in (("P", records.p, records.distance_km), ("S", records.s, s_distance))
        ]
        distances = records.distance_km, s_distance
        model = fit((observed[0], observed[1]), distances, scale_s, term_sigma_s, event_sigma_s, factor_sigma)
    return model


def fit(
    picks_s: tuple[FloatArray, FloatArray],
    distances: tuple[FloatArray, FloatArray],
    scale_s: float = 0.2,
    term_sigma_s: float = 0.5,
    event_sigma_s: float = 1.0,
    factor_sigma: float | None = None,
) -> MoveoutModel:
    """Fit a :class:`MoveoutModel` to picks of P and of S, (event, station) s after the origin, NaN where there is none.

    ``distances``: for P and for S, (event, station), as in :class:`Records`; the rest as for :func:`calibrate`.
    Iteratively reweighted least squares with Cauchy weights (Holland and Welsch 1977). Raises ValueError where a phase
    has fewer picks than unknowns.
    """
    events, stations = distances[0].shape
    scale = scale_s
    # Unknowns: slowness and delay of P, then of S, station terms of P, then of S, event terms
    unknowns = 4 + 2 * stations + events
    rows = []
    for phase, times in enumerate(picks_s):
        event, station = np.nonzero(np.isfinite(times))
        if event.size < stations + 2:
            raise ValueError(f"only {event.size} picks of {'PS'[phase]} for {stations} stations: nothing to calibrate")
        rows.append(
            (np.full(event.size, phase), event, station, times[event, station], distances[phase][event, station])
        )
    phase_of, event, station, time, distance = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    one = np.ones(time.size)
    columns = np.concatenate(
        [2 * phase_of, 2 * phase_of + 1, 4 + phase_of * stations + station, 4 + 2 * stations + event]
    )
    entries = (np.concatenate([distance, one, one, one]), (np.tile(np.arange(time.size), 4), columns))
    design = sparse.csr_array(entries, shape=(time.size, unknowns))
    # A ridge in units of the residuals' scale; none on delays
    usual = np.zeros(unknowns)
    velocities = np.zeros(4)
    if factor_sigma is not None:
        velocities[[0, 2]] = (scale / factor_sigma) ** 2
        usual[[0, 2]] = 1.0
    ridge = np.concatenate(
        [velocities, np.full(2 * stations, (scale / term_sigma_s) ** 2), np.full(events, (scale / event_sigma_s) ** 2)]
    )
    weight = np.ones(time.size)
    solution = np.zeros(unknowns)
    for _ in range(50):
        normal = (design.T @ sparse.diags_array(weight) @ design).toarray() + np.diag(ridge)
        # Delays, station terms and event terms are told apart by the ridge alone, so the matrix is regular
        update = np.linalg.solve(normal, design.T @ (weight * time) + ridge * usual)
        done = np.max(np.abs(update - solution)) < 1e-5
        solution = update
        residual = time - design @ solution
        weight = 1.0 / (1.0 + (residual / scale) ** 2)
        if done:
            break
    terms = solution[4 : 4 + 2 * stations].reshape(2, stations)
    seen = np.zeros((2, stations), bool)
    seen[phase_of, station] = True
    event_terms = solution[4 + 2 * stations :]
    common = float(np.median(event_terms))
    mean = np.array([terms[k, seen[k]].mean() for k in (0, 1)])
    terms = np.where(seen, terms - mean[:, None], 0.0)
    mad = [float(np.median(np.abs(residual[phase_of == k]))) for k in (0, 1)]
    return MoveoutModel(
        vp=float(1.0 / solution[0]),
        vs=float(1.0 / solution[2]),
        p_delay=float(solution[1] + mean[0] + common),
        s_delay=float(solution[3] + mean[1] + common),
        p_terms=terms[0],
        s_terms=terms[1],
        event_terms=event_terms - common,
        p_mad_s=mad[0],
        s_mad_s=mad[1],
        p_picks=int(np.count_nonzero(phase_of == 0)),
        s_picks=int(np.count_nonzero(phase_of == 1)),
    )
