"""Options that the stages of an experiment share on the command line, and what runs them."""

import argparse
import errno
import sys
from collections.abc import Sequence
from pathlib import Path

from seiscomp_dlloc.errors import SettingError


def add_options(parser: argparse.ArgumentParser, networks: bool = True) -> None:
    """The experiment, its run folder, its networks; what was stopped goes on."""
    parser.set_defaults(resumes=True)
    parser.add_argument("experiment", metavar="FILE.toml", help="the experiment: a file, or the name of a shipped one")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="run folder (default: runs/NAME)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    if networks:
        parser.add_argument("--network", action="append", default=[], metavar="NAME", help="only this one (repeatable)")


def add_compute_options(parser: argparse.ArgumentParser) -> None:
    """What computes."""
    group = parser.add_argument_group("computing")
    group.add_argument("--workers", type=_count, metavar="N", help="processes that synthesise (default: one per core)")
    group.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that synthesises, or 'local'")
    group.add_argument("--accelerator", default="auto", help="cpu, gpu, auto (default %(default)s)")
    group.add_argument(
        "--devices", type=_count, default=1, metavar="N", help="GPUs, or processes (default %(default)s)"
    )
    group.add_argument("--nodes", type=_count, default=1, metavar="N", help="machines (default %(default)s)")
    group.add_argument(
        "--precision", default="32-true", help="as Lightning names it, e.g. bf16-mixed (default 32-true)"
    )
    group.add_argument(
        "--strategy",
        default="auto",
        help="how processes train together, as Lightning names it: auto starts those of one machine itself; ddp where "
        "the whole command runs in each, as SLURM and torchrun have it (default %(default)s)",
    )
    group.add_argument("--threads", type=_count, metavar="N", help="threads of torch (default: its own choice)")


def add_version_option(parser: argparse.ArgumentParser) -> None:
    """The models' version."""
    parser.add_argument("--model-version", default="1.0.0", metavar="X.Y.Z", help="of the models (default %(default)s)")


def _count(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def staged(args: argparse.Namespace, stages: Sequence[str]) -> int:
    """Run the stages in order. Raises SettingError where the disk is full."""
    import torch

    from .computing import Compute, first_process
    from .reading import read_experiment
    from .stages import Run, run_stages

    experiment = read_experiment(args.experiment)
    if getattr(args, "threads", None):
        torch.set_num_threads(args.threads)
    compute = Compute(
        getattr(args, "accelerator", "auto"),
        getattr(args, "devices", 1),
        getattr(args, "nodes", 1),
        getattr(args, "precision", "32-true"),
        not args.quiet and sys.stderr.isatty(),
        getattr(args, "strategy", "auto"),
    )
    run = Run(
        experiment,
        args.output or Path("runs") / experiment.name,
        compute,
        tuple(getattr(args, "network", ())),
        getattr(args, "workers", None),
        getattr(args, "dask", None),
        getattr(args, "model_version", "1.0.0"),
        (lambda text: print(text, flush=True)) if first_process() else (lambda text: None),
    )
    try:
        run_stages(run, stages)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SettingError(
            f"{error.filename or run.folder}: the disk is full; make room, and the same command goes on from here"
        ) from error
    return 0
