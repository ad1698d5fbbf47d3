"""The stages of an experiment, from its file to its models: each takes what is done as it is and goes on from there."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically

from .checking import check_networks, check_version, doubts
from .computing import Compute, first_process
from .dataset import Dataset
from .drawing import draw_events
from .evaluating import calibrate_sigmas, meta_of, predictions, save_training_truths, sets_of
from .exporting import VERSION, calibrated, export_network
from .materials import Materials
from .plans import NetworkPlan, plan_to_search, plans
from .predictions import RECORDED_TEST, TEST
from .reading import ExperimentFile
from .report import write_report
from .report.summary import summarise
from .robustness.running import run_robustness
from .robustness.settings import robustness_of
from .search import BEST, SEARCH, read_best
from .searching import search_network
from .synthesis import DATASET, header, run_synthesis
from .training import DONE, Fitted, load_fitted, network_folder, run_training
from .workers import processes

RESOLVED = "settings.json"
EVOLVING = (TEST, RECORDED_TEST)
"""Sets on which the estimate of every window is kept; of the others, the last one's."""


@dataclass(frozen=True)
class Run:
    """An experiment in its run folder. ``only``: names of networks, all where empty; ``workers`` and ``dask`` are those
    of :func:`run_synthesis`.
    """

    experiment: ExperimentFile
    folder: Path
    compute: Compute
    only: tuple[str, ...] = ()
    workers: int | None = None
    dask: str | None = None
    version: str = VERSION
    say: Callable[[str], None] = print

    @property
    def plans(self) -> tuple[NetworkPlan, ...]:
        """The networks in question. Raises SettingError for unknown names."""
        every = plans(self.experiment)
        unknown = [name for name in self.only if name not in {plan.name for plan in every}]
        if unknown:
            known = ", ".join(plan.name for plan in every)
            raise SettingError(f"{self.experiment.path}: no network {', '.join(unknown)}; known are {known}")
        return tuple(self._searched(plan) for plan in every if not self.only or plan.name in self.only)

    def _searched(self, plan: NetworkPlan) -> NetworkPlan:
        """The plan with what a search has found, where there was one."""
        if not (plan.searched and (self.folder / SEARCH / BEST).exists()):
            return plan
        return replace(plan, settings=read_best(self.folder).settings, searched=False)

    def materials(self) -> Materials:
        """What networks are trained and measured on; synthesises what is missing."""
        if first_process():
            data = run_synthesis(
                self.experiment,
                self.folder,
                self.say,
                self.compute.progress,
                workers=processes(self.workers, self.dask),
                dask=self.dask,
            )
            self.keep_settings()  # now that the folder is known to be of this experiment
        else:
            while not (self.folder / DATASET).exists():  # the first process makes it
                time.sleep(1.0)
            data = Dataset(self.folder / DATASET, header(self.experiment))
        return Materials(self.experiment, self.folder, data, draw_events(self.experiment), self.compute.progress)

    def keep_settings(self) -> None:
        """Write the resolved settings into the run folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {
            "settings": self.experiment.settings,
            "networks": [plan.resolved() for plan in plans(self.experiment)] if "networks" in self.experiment.settings
            else [],
        }  # fmt: skip
        write_atomically(self.folder / RESOLVED, (json.dumps(document, indent=1) + "\n").encode())


def search(run: Run) -> None:
    """The stage ``search``."""
    best = search_network(run.materials(), run.compute)
    count = sum(best.trials.values())
    run.say(f"trial {best.trial} of {count} is best: RMSE of {best.value:.3f} training standard deviations")


def train(run: Run) -> dict[str, Fitted]:
    """The stage ``train``."""
    for plan in run.plans:
        if plan.searched:
            raise SettingError(f"networks.{plan.name}.searched: there was no search in {run.folder} yet; search first")
    return run_training(run.materials(), run.plans, run.compute, run.say)


def require_trained(run: Run) -> None:
    """Raise SettingError where no network is trained, before anything is made for it."""
    if not any((network_folder(run.folder, plan.name) / DONE).exists() for plan in run.plans):
        raise SettingError(f"{run.folder}: no network is trained there; train first")


def trained(run: Run, materials: Materials) -> dict[str, Fitted]:
    """The networks that are trained."""
    found = {}
    for plan in run.plans:
        fitted = load_fitted(materials, plan, network_folder(run.folder, plan.name))
        if fitted is None:
            run.say(f"{plan.name}: is not trained, left out")
        else:
            found[plan.name] = fitted
    return found


def evaluate(run: Run) -> Path:
    """The stage ``evaluate``: answers on every set, and the report; returns the report."""
    require_trained(run)
    materials = run.materials()
    folder = run.folder / "predictions"
    save_training_truths(materials, folder)
    found = {}
    for name, fitted in trained(run, materials).items():
        calibrate_sigmas(materials, fitted)
        settings = calibrated(materials, fitted)
        found[name] = fitted, settings
        for which in sets_of(materials):
            exact = materials.exact(fitted.plan.inputs, which)
            curve = which in EVOLVING
            predictions(materials, fitted, exact, settings, curve).save(folder / name / f"{which}.npz")
        meta_of(fitted).save(folder / name)
        run.say(f"{name}: evaluated")
    wanted = robustness_of(run.experiment, plans(run.experiment))
    if wanted is not None:
        run_robustness(materials, wanted, found, run.folder, run.say)
    report = write_report(run.experiment, run.folder)
    run.say(f"{report}")
    return report


def export(run: Run) -> list[Path]:
    """The stage ``export``: a model file of every trained network."""
    require_trained(run)
    materials = run.materials()
    skill = summarise(run.experiment, run.folder)["networks"]
    made = []
    for name, fitted in trained(run, materials).items():
        calibrate_sigmas(materials, fitted)
        made.append(export_network(materials, fitted, run.folder / "models", skill.get(name, {}), run.version))
        run.say(f"{made[-1]}")
    return made


def check(experiment: ExperimentFile, chosen: Sequence[NetworkPlan], say: Callable[[str], None]) -> None:
    """Raise SettingError for a file that some stage would refuse; say what is most likely not meant."""
    check_networks(experiment, chosen)
    if "search" in experiment.settings:
        plan_to_search(experiment)
    robustness_of(experiment, plans(experiment))
    for doubt in doubts(experiment):
        say(doubt)


def run_stages(run: Run, stages: Sequence[str]) -> None:
    """Run the stages in order; a search only where the file has that section, unless it is asked for alone.

    Of several processes that run the same command, all train and the first does the rest. Raises SettingError, before
    anything long begins, where the file does not allow one of them.
    """
    check_version(run.version)
    check(run.experiment, run.plans, run.say)
    for stage in stages:
        if stage == "search" and "search" not in run.experiment.settings and len(stages) > 1:
            continue
        if not (first_process() or stage == "train"):
            continue
        run.say(f"== {stage}")
        _STAGES[stage](run)


_STAGES: dict[str, Callable[[Run], object]] = {
    "synthesize": Run.materials,
    "search": search,
    "train": train,
    "evaluate": evaluate,
    "export": export,
}
