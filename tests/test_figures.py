"""The picture of an event."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.geometry import Grid
from seiscomp_dlloc.records import (
    Abstention,
    Arrival,
    Conditioned,
    Hypocenter,
    LocationImage,
    ModelIdentity,
    Pick,
    Solution,
    Station,
    Trigger,
)
from seiscomp_dlloc.report.figures import EventPicture, event_figure, save
from seiscomp_dlloc.report.section import spread
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

STATIONS = tuple(Station("XX", f"A{i}", 36.0 + 0.2 * i, -97.0 + 0.1 * i, 300.0) for i in range(5))


def picture(**changes: object) -> EventPicture:
    rng = np.random.default_rng(1)
    data = rng.normal(size=(3, 5, 1200)).astype(np.float32)
    valid = np.ones(data.shape, bool)
    valid[:, 4] = False
    data[:, 4] = 0.0
    grid = Grid(36.0, -97.0, -20.0, -20.0, -1.0, 2.0, 2.0, 1.0, 21, 21, 12)
    x, y = np.meshgrid(grid.x_km, grid.y_km)
    values = np.broadcast_to(np.exp(-(x**2 + y**2) / 20.0), grid.shape).astype(np.float32)
    covariance = np.diag([1.0, 9.0, 4.0])
    hypocenter = Hypocenter(36.0, -97.0, -0.5, covariance, 1000.0, 0.3)
    pick = Pick("p", 1004.0, "XX", "A1", phase="P")
    solution = Solution(
        Trigger("smi:test/o", 1001.0, "smi:test/event", 36.3, -97.3, 10.0, (pick,)),
        ModelIdentity("tiny", "1.0.0", "0" * 64, "CPUExecutionProvider"),
        hypocenter,
        peak=0.8,
        used_stations=tuple(s.id for s in STATIONS[:3]),
        arrivals=(Arrival(pick, "P", 24.0, 20.0, 0.1, 1.0),),
    )
    whole = EventPicture(
        solution,
        Conditioned(data, valid, 20.0, 980.0),
        STATIONS,
        LayeredTravelTimes([0.0], [6.0], [3.5]),
        LocationImage(values / values.sum(), grid, "density"),
    )
    return replace(whole, **changes)


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_a_figure_names_event_model_and_judgement_and_draws_every_panel():
    figure = event_figure(picture())
    said = texts(figure)
    for word in ("smi:test/event", "tiny/1.0.0 on CPU", "accepted", "peak 0.80", "3 stations", "A0", "A3", "36.000°N"):
        assert word in said
    assert "synthetic" not in said
    titles = {axes.get_title(loc="left") for axes in figure.axes}
    assert {"Record section, vertical", "Network and location image"} <= titles


def test_the_time_is_rounded_as_in_the_tables():
    whole = picture()
    assert whole.solution.hypocenter is not None
    for time, shown in ((1000.619991, ":40.62 UTC"), (1000.615009, ":40.62 UTC"), (1019.996, "00:17:00.00 UTC")):
        solution = replace(whole.solution, hypocenter=replace(whole.solution.hypocenter, time=time))
        assert shown in texts(event_figure(replace(whole, solution=solution)))


def test_a_station_without_record_has_no_trace_and_no_code():
    assert "A4" not in texts(event_figure(picture()))


def test_theoretical_seismograms_are_called_synthetic_in_the_title():
    truth = Hypocenter(36.02, -97.0, 5.0, np.full((3, 3), np.nan), 1000.0)
    said = texts(event_figure(picture(theoretical=True, truth=truth)))
    assert "Theoretical seismograms (synthetic)" in said
    assert "true epicentre" in said


def test_the_ellipses_enclose_68_percent_and_point_along_the_larger_spread():
    figure = event_figure(picture())
    plan = next(axes for axes in figure.axes if axes.get_title(loc="left").startswith("Around"))
    (ellipse,) = [patch for patch in plan.patches if isinstance(patch, Ellipse)]
    # Standard deviations 1 km east, 3 km north; the chi-square quantile for two degrees of freedom is -2 ln(1 - p),
    # p as in the documents: what one standard deviation holds in one dimension
    factor = np.sqrt(-2.0 * np.log(1.0 - 0.6827))
    assert (ellipse.width, ellipse.height) == pytest.approx((6.0 * factor, 2.0 * factor), rel=1e-3)
    assert abs(ellipse.angle) == pytest.approx(90.0)


@pytest.mark.parametrize("measure", ["density", "label"])
def test_both_measures_of_an_image_are_drawn(measure: str):
    whole = picture()
    image = replace(whole.image, measure=measure)
    said = texts(event_figure(replace(whole, image=image)))
    assert ("probability per cell" in said) == (measure == "density")


def test_a_solution_without_image_or_uncertainty_still_has_a_figure():
    whole = picture(image=None)
    unknown = replace(whole.solution.hypocenter, covariance_km2=np.full((3, 3), np.nan))
    solution = replace(whole.solution, hypocenter=unknown, peak=None, abstention=Abstention("low peak"), arrivals=())
    figure = event_figure(replace(whole, solution=solution))
    assert "abstained: low peak" in texts(figure)
    assert not figure.findobj(Ellipse)


def test_a_trigger_without_place_is_not_drawn():
    whole = picture()
    solution = replace(whole.solution, trigger=Trigger("smi:test/o", 1001.0))
    assert "trigger (not used)" not in texts(event_figure(replace(whole, solution=solution)))


def test_without_hypocentre_there_is_nothing_to_draw():
    whole = picture()
    with pytest.raises(ValueError, match="no figure"):
        event_figure(replace(whole, solution=replace(whole.solution, hypocenter=None)))


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path):
    figure = event_figure(picture())
    save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(SettingError, match=r"b\.png"):
        save(figure, tmp_path / "nowhere" / "b.png")


def test_labels_are_pushed_apart_and_stay_in_order():
    values = np.array([0.0, 0.1, 0.2, 5.0, 5.0, 20.0])
    places = spread(values, 1.0)
    assert np.all(np.diff(places) >= 1.0 - 1e-12)
    assert places[:3].mean() == pytest.approx(values[:3].mean())
    assert places[3:5].mean() == pytest.approx(5.0)
    assert places[5] == 20.0


def test_labels_that_are_far_apart_stay_where_they_are():
    values = np.array([0.0, 2.0, 7.0])
    np.testing.assert_allclose(spread(values, 1.0), values)
    assert spread(np.array([]), 1.0).size == 0
