"""``tables``: strain tables of random earth models, from which theoretical events are made."""

import argparse
from pathlib import Path

DESCRIPTION = """\
Make strain tables of random layered models of central Oklahoma, as the bundled model was trained with: depths 2.25 to
10 km, distances to 300 km, up to 8.5 Hz. About 20 s and 130 MB each. A table that is there already is kept."""

FIRST_SEED = 100


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("tables", help="make strain tables", description=DESCRIPTION)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for ok_0.h5, ok_1.h5 ..."
    )
    parser.add_argument("-n", "--number", type=int, default=6, help="how many models (default %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    import numpy as np

    from ...earth import central_oklahoma
    from ...greens import strain_table

    args.output.mkdir(parents=True, exist_ok=True)
    for k in range(args.number):
        path = args.output / f"ok_{k}.h5"
        if not path.exists():
            table = strain_table(
                central_oklahoma(np.random.default_rng(FIRST_SEED + k)),
                depths_km=[2.25, 3.5, 5.0, 6.5, 8.0, 10.0],
                distances_km=np.concatenate([np.arange(1.0, 100.0, 0.5), np.arange(100.0, 301.0)]),
                duration_s=81.0,
                fmax_hz=8.5,
                reduction_velocity_km_s=8.5,
                progress=True,
            )
            table.save(path)
        print(path, flush=True)
    return 0
