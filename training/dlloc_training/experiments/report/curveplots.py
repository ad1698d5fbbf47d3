"""Curves: how an estimate evolves while data come in, and how networks learnt."""

from collections.abc import Mapping, Sequence

import numpy as np

from .measures import EPICENTRE, FOLLOWED, TITLES, errors_of, sigmas_of, with_unit
from .plots import Look, canvas, heading, legend_below, png
from .results import THEORETICAL, NetworkResults, Results, is_recorded, set_title

_BAND = (0.16, 0.84)


def stated(sigmas: Mapping[str, np.ndarray], quantity: str) -> np.ndarray | None:
    """Stated sigma (event,) of a quantity; of the epicentre the root of the sum of the squares of both."""
    if quantity == EPICENTRE:
        return np.hypot(sigmas["x"], sigmas["y"]) if {"x", "y"} <= set(sigmas) else None
    return sigmas.get(quantity)


def _curve(network: NetworkResults, name: str, quantity: str) -> np.ndarray | None:
    """(window, 4): 16 %, 50 % and 84 % quantiles of the size of the error, and the median stated sigma."""
    events = network.sets[name]
    rows = []
    for window in range(len(events.until_s)):
        errors = errors_of(events, window)
        if quantity not in errors or not np.isfinite(errors[quantity]).any():
            return None
        sigma = stated(sigmas_of(events, window), quantity)
        known = np.isfinite(sigma) if sigma is not None else np.zeros(1, bool)
        middle = np.median(sigma[known]) if sigma is not None and known.any() else np.nan
        rows.append([*np.nanquantile(np.abs(errors[quantity]), [_BAND[0], 0.5, _BAND[1]]), middle])
    return np.array(rows)


def evolution(networks: Sequence[NetworkResults], name: str, look: Mapping[str, Look]) -> bytes | None:
    """Error and stated sigma of a set against the data that an estimate rests on; a row for each network."""
    curves = {
        (network.plan.name, quantity): curve
        for network in networks
        if name in network.sets and len(network.sets[name].until_s) > 1
        for quantity in FOLLOWED
        if (curve := _curve(network, name, quantity)) is not None
    }
    shown = [network for network in networks if any(key[0] == network.plan.name for key in curves)]
    quantities = [quantity for quantity in FOLLOWED if any(key[1] == quantity for key in curves)]
    if not shown:
        return None
    title = heading(f"{set_title(name)}, evolution of the estimate", not is_recorded(name))
    columns = len(quantities)
    with canvas(len(shown) * columns, title, columns, (2.7, 2.0), sharex=True, sharey="col") as (figure, panels):
        for row, network in enumerate(shown):
            until, style = network.sets[name].until_s, look[network.plan.name]
            for quantity, axes in zip(quantities, panels[row * columns : (row + 1) * columns], strict=True):
                curve = curves.get((network.plan.name, quantity))
                if curve is not None:
                    axes.fill_between(until, curve[:, 0], curve[:, 2], color=style.color, alpha=0.2, linewidth=0)
                    axes.plot(until, curve[:, 1], color=style.color, linewidth=1.5)
                    axes.plot(until, curve[:, 3], color="#222222", linewidth=1.1, linestyle=(0, (4, 2)))
                if row == 0:
                    axes.set_title(with_unit(quantity))
                if row == len(shown) - 1:
                    axes.set_xlabel("data after the trigger (s)")
            panels[row * columns].set_ylabel(network.title, fontsize=8)
        for axes in panels:  # when all is drawn: limits that are set no longer widen
            axes.set_ylim(bottom=0.0)
        return png(figure)


def learning(results: Results, look: Mapping[str, Look]) -> bytes | None:
    """Loss and RMSE of held-out events by epoch; None where no network has curves."""
    names = [name for network in results.networks for name in network.curves]
    order = ["loss", "loss_held_out", *(f"rmse_{key}" for key in ("x", "y", "depth", "time", "magnitude"))]
    shown = [name for name in order if name in names]
    if not shown:
        return None
    theoretical = all(network.plan.data == THEORETICAL for network in results.networks)
    with canvas(len(shown), heading("learning curves", theoretical)) as (figure, panels):
        for name, axes in zip(shown, panels, strict=True):
            for network in results.networks:
                if name in network.curves:
                    epochs, values = network.curves[name]
                    axes.plot(epochs + 1, values, label=network.title, **look[network.plan.name].plain)
            axes.set(title=_learning_title(name), xlabel="epoch")
            if name.startswith("rmse_"):
                axes.set_ylim(bottom=0.0)
        legend_below(figure, panels)
        return png(figure)


def _learning_title(name: str) -> str:
    if name.startswith("rmse_"):
        return f"RMSE held out: {with_unit(name.removeprefix('rmse_'))}"
    return {"loss": "loss, training", "loss_held_out": "loss, held out"}.get(name, TITLES.get(name, name))
