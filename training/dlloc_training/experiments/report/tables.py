"""The report's tables of scores."""

from collections.abc import Iterable, Mapping

from ...metrics import Coverage, Interval
from .dependence import Dependence
from .document import Cell, Table
from .measures import EPICENTRE, FOLLOWED, LEVELS, QUANTITIES, TITLES, with_unit
from .results import Results, set_title
from .scores import BASELINES, Score, Scores

PARAMETERS = tuple(name for name in QUANTITIES if name != EPICENTRE)

Rows = list[tuple[str, Score]]


def rows_of(results: Results, scores: Scores, name: str) -> Rows:
    """Baselines, then networks in the file's order, on one set."""
    rows = [(title, scores.baselines[title, name]) for title in BASELINES if (title, name) in scores.baselines]
    return rows + [(network.label, scores.networks[network.plan.name, name]) for network in results.of(name)]


def _value(score: Score, quantity: str, figure: str) -> float | None:
    measure = score.measures.get(quantity)
    return None if measure is None else float(getattr(measure, figure).value)


def _interval(score: Score, quantity: str, figure: str) -> Interval | None:
    measure = score.measures.get(quantity)
    return None if measure is None else getattr(measure, figure)


def rmse_table(rows: Rows, name: str) -> Table:
    """RMSE of every parameter and of the epicentre, everyone side by side."""
    cells = [
        (title, score.events, *(_value(score, q, "rmse") for q in PARAMETERS), _interval(score, EPICENTRE, "rmse"))
        for title, score in rows
    ]
    heads = ("RMSE", "events", *map(with_unit, PARAMETERS), "epicentre [68 %], km")
    return Table(f"{name}-rmse", heads, tuple(cells))


def mae_table(rows: Rows, name: str) -> Table:
    """Mean absolute errors of every parameter, mean and median of the epicentre's, everyone side by side."""
    cells = [
        (title, score.events, *(_value(score, q, "mae") for q in PARAMETERS),
         *(_interval(score, EPICENTRE, figure) for figure in ("mae", "median")))
        for title, score in rows
    ]  # fmt: skip
    heads = ("mean absolute error", "events", *map(with_unit, PARAMETERS), "epicentre, mean [68 %], km",
             "epicentre, median [68 %], km")  # fmt: skip
    return Table(f"{name}-mae", heads, tuple(cells))


def skill_table(rows: Rows, name: str) -> Table | None:
    """Skill of the networks against each baseline; None without baselines."""
    networks = [(title, score) for title, score in rows if score.skill]
    if not networks:
        return None
    heads = ["skill"] + [f"{TITLES[q]}, against {baseline}" for baseline in BASELINES for q in FOLLOWED]
    cells = [
        (title, *(score.skill.get(baseline, {}).get(q) for baseline in BASELINES for q in FOLLOWED))
        for title, score in networks
    ]
    kept = [k for k in range(len(heads)) if k == 0 or any(row[k] is not None for row in cells)]
    return Table(
        f"{name}-skill",
        tuple(heads[k] for k in kept),
        tuple(tuple(row[k] for k in kept) for row in cells),
        "Skill: 1 - mean absolute error / the baseline's, on the same events; 1 is perfect, 0 no better than the "
        "baseline, below 0 worse.",
    )


def _covered(pair: tuple[Coverage, ...] | None) -> str:
    if pair is None:
        return "-"
    return " / ".join(f"{100 * c.share.value:.0f} [{100 * c.share.low:.0f}, {100 * c.share.high:.0f}]" for c in pair)


def coverage_table(results: Results, scores: Scores, names: Iterable[str]) -> Table | None:
    """Coverage of the stated regions on several sets; None where no network states any."""
    rows: list[tuple[Cell, ...]] = [
        (set_title(name), network.label, score.events, *(_covered(score.coverage.get(q)) for q in FOLLOWED))
        for name in names
        for network in results.of(name)
        if (score := scores.networks[network.plan.name, name]).coverage
    ]
    levels = " / ".join(f"{100 * level:.0f}" for level in LEVELS)
    heads = ("set", "network", "events", *(f"{TITLES[q]}, {levels} %" for q in FOLLOWED))
    note = (
        f"Share of truths, in %, inside the regions that are stated to hold {levels} %, with Wilson's 68 % intervals. "
        "Epicentre: an ellipse with axes east and north; the others: intervals of a normal distribution. Sigmas were "
        "scaled on held-out events, so these must fit, and the others show whether they do."
    )
    return Table("coverage", heads, tuple(rows), note) if rows else None


def size_table(results: Results) -> Table:
    """What every network was trained on, how long, and by what."""
    rows: list[tuple[Cell, ...]] = []
    for network in results.networks:
        plan, meta = network.plan, network.meta
        data = plan.data + (", virtual" if plan.virtual else "")
        rows.append((
            network.title, meta.network, plan.inputs, data, meta.training_events, meta.windows_per_epoch,
            meta.epochs, meta.parameters, round(meta.seconds), meta.machine,
        ))  # fmt: skip
    heads = ("network", "kind", "input", "trained on", "training events", "windows per event and epoch", "epochs",
             "parameters", "training time, s", "machine")  # fmt: skip
    return Table("sizes", heads, tuple(rows))


def group_table(found: Dependence, name: str, axis: str) -> Table:
    """Mean epicentre error by group, a row for each network."""
    counts = [max(line.points[k].count for line in found.lines) for k in range(len(found.groups))]
    heads = (axis, *(f"{group} ({count} events)" for group, count in zip(found.groups, counts, strict=True)))
    rows = [(line.points[0].label, *(p.errors.get(EPICENTRE) for p in line.points)) for line in found.lines]
    return Table(name, heads, tuple(rows), "Mean epicentre error, km, with its 68 % bootstrap interval.")


def training_table(found: Dependence, name: str, axis: str) -> Table:
    """Mean absolute errors of networks that differ in one thing alone, a row for each."""
    rows: list[tuple[Cell, ...]] = [
        (p.label, f"{p.at:.4g}", p.count, *(p.errors.get(q) for q in FOLLOWED))
        for line in found.lines
        for p in line.points
    ]
    heads = ("network", axis, "events", *map(with_unit, FOLLOWED))
    return Table(name, heads, tuple(rows), "Mean absolute errors with their 68 % bootstrap intervals.")


def everything(results: Results, scores: Scores) -> Table:
    """All measures of all sets, one row for each quantity: for machines."""
    rows: list[tuple[Cell, ...]] = []
    for name in results.sets:
        keyed = [(title, score) for (title, of), score in scores.baselines.items() if of == name]
        keyed += [(n.plan.name, scores.networks[n.plan.name, name]) for n in results.of(name)]
        for title, score in keyed:
            rows += [
                (name, title, with_unit(q), m.count, m.rmse, m.mae, m.median, m.bias) for q, m in score.measures.items()
            ]
    heads = ("set", "network", "quantity", "events", "RMSE", "mean absolute error", "median absolute error", "bias")
    return Table("measures", heads, tuple(rows))


def all_groups(found: Mapping[str, Dependence]) -> Table:
    """All dependences, one row for each network, point and quantity: for machines."""
    rows = [
        (name, p.label, p.at, with_unit(q), p.count, interval)
        for name, dependence in found.items()
        for line in dependence.lines
        for p in line.points
        for q, interval in p.errors.items()
    ]
    return Table("dependence", ("against", "network", "at", "quantity", "events", "mean absolute error"), tuple(rows))
