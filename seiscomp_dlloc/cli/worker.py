"""``dlloc worker``: start, run, stop and watch the resident worker."""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError, WorkerError, WorkerUnavailable
from ..worker.client import Client, Wanted
from ..worker.launch import end_worker
from . import EXIT_EVENTS, EXIT_OK
from .commands import add_command
from .locate import count, nonempty

if TYPE_CHECKING:
    from ..worker.config import WorkerConfig

DESCRIPTION = """\
A resident process that keeps models warm and locates what it is asked to through a Unix socket. SeisComP's module and
its external locator use it, and start it where it does not run.
"""

EPILOG = """\
commands:
  start     start the worker in the background; one that runs already is left alone, unless it was started before an
            upgrade or a change of the settings: then it ends and a new one takes its place
  run       run it in the foreground until SIGTERM or Ctrl-C, and show its log
  stop      end it: no new jobs, what runs may finish for a few seconds
  status    health and statistics: jobs, latencies, models, memory

settings: those of dlloc.cfg inside SeisComP; the options here win. Without SeisComP, options are enough.

exit status:
  0   done; status: the worker runs and is ready
  1   status: the worker runs but is not ready, or a profile has a problem
  2   no worker there, or it cannot be started: the message says why

examples:
  dlloc worker start
  dlloc worker status --json | jq .latency_s
  dlloc worker run --socket /run/user/1000/dlloc.sock --waveforms /data/sds --inventory stations.xml
"""

_STOP_S = 15.0


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "worker", "start, stop and watch the resident worker", DESCRIPTION, EPILOG)
    parser.add_argument("action", choices=("start", "run", "stop", "status"), help="see below")
    parser.add_argument("--socket", type=nonempty, metavar="PATH", help="the worker's socket")
    parser.add_argument("--config", type=nonempty, metavar="FILE", help="settings file in place of SeisComP's")
    parser.add_argument("--json", action="store_true", help="status as one JSON object")
    server = parser.add_argument_group("start and run")
    server.add_argument(
        "--model",
        type=nonempty,
        metavar="NAME|FILE",
        help="model of jobs that name no profile (default: its own, else anynet)",
    )
    server.add_argument("--waveforms", type=nonempty, metavar="WHERE", help="their waveforms, as of 'dlloc locate'")
    server.add_argument("--inventory", type=nonempty, metavar="FILE", help="their inventory")
    server.add_argument("--jobs", type=count, metavar="N", help="jobs that are located at once")
    server.add_argument("--queue", type=count, metavar="N", help="jobs that may wait behind them")
    server.add_argument("--threads", type=count, metavar="N", help="CPU threads of a model")
    server.add_argument("--provider", choices=("auto", "cuda", "cpu"), help="where the models run")
    server.add_argument("--require-gpu", action="store_true", help="refuse to run a model on the CPU")
    server.add_argument("--log", type=nonempty, metavar="FILE", help="log file")
    server.add_argument("--detach", action="store_true", help="run: go to the background once the socket is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """``dlloc worker``."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "start": _start,
        "run": _run,
        "stop": _stop,
        "status": _status,
    }
    return actions[arguments.action](arguments)


def configure(arguments: argparse.Namespace) -> "WorkerConfig":
    """Settings of the worker: those of the file, or built in, and the options over them. Raises SettingError."""
    from ..worker.settings import load_config

    given = {
        "socket": _absolute(arguments.socket),
        "log_file": _absolute(arguments.log),
        "jobs": arguments.jobs,
        "queue": arguments.queue,
        "threads": arguments.threads,
        "provider": arguments.provider,
        "require_gpu": arguments.require_gpu or None,
    }
    profile = {
        "model": _model(arguments.model),
        "waveforms": _where(arguments.waveforms),
        "inventory": _absolute(arguments.inventory),
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    return load_config(arguments.config, chosen, {key: value for key, value in profile.items() if value is not None})


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)


def _where(waveforms: str | None) -> str | None:
    """A path made absolute, anything else as it is."""
    from ..waveforms.factory import is_recordstream

    if waveforms is None or "://" in waveforms or is_recordstream(waveforms):
        return waveforms
    return _absolute(waveforms)


def _model(name: str | None) -> str | None:
    """A model's name as it is, a file's path made absolute."""
    from .. import models

    return name if name is None or name in models.bundled() else str(models.resolve(name).resolve())


def _start(arguments: argparse.Namespace) -> int:
    config = configure(arguments)
    try:
        running = Client(config.socket).ping()
    except WorkerError:
        return _serve(arguments, detached=True)
    if not config.options and wanted(config).denies(running):
        print(f"worker {running['pid']} was started with other settings or by another version; it ends")
        end_worker(config.socket, time.monotonic() + _STOP_S)
    elif config.options:
        print(f"worker {running['pid']} keeps its options; to give it others end it with 'dlloc worker stop'")
    return _serve(arguments, detached=True)


def wanted(config: "WorkerConfig") -> Wanted:
    """What a worker that runs is compared with."""
    return Wanted(config.settings, config.config_file)


def _run(arguments: argparse.Namespace) -> int:
    return _serve(arguments, detached=arguments.detach)


def _serve(arguments: argparse.Namespace, detached: bool) -> int:
    from ..worker.place import AlreadyRunning, Place, detach, open_log
    from ..worker.supervisor import serve

    config = configure(arguments)
    try:
        place = Place(config.socket)
    except AlreadyRunning:
        if not detached:
            raise
        print(f"the worker runs already at {config.socket}")
        return EXIT_OK
    try:
        open_log(config.log, console=not detached)
    except SettingError:
        place.leave()
        raise
    if detached:
        print(f"the worker listens at {config.socket}; its log: {config.log}")
    serve(config, place, detach if detached else None)
    return EXIT_OK


def _stop(arguments: argparse.Namespace) -> int:
    config = configure(arguments)
    pid = Client(config.socket).stop()["pid"]
    limit = time.monotonic() + _STOP_S
    while Path(config.socket).exists() and time.monotonic() < limit:
        time.sleep(0.05)
    if Path(config.socket).exists():
        raise WorkerUnavailable(f"{config.socket}: worker {pid} has not ended within {_STOP_S:g} s; kill it")
    print(f"worker {pid} has ended")
    return EXIT_OK


def _status(arguments: argparse.Namespace) -> int:
    config = configure(arguments)
    status = Client(config.socket).status()
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        for line in describe(status):
            print(line)
        if wanted(config).denies(status):
            print("outdated   the settings or the program have changed since; 'dlloc worker start' starts a new one")
    healthy = status["engine"]["state"] == "ready" and not any(row["problem"] for row in status["profiles"])
    return EXIT_OK if healthy else EXIT_EVENTS


def describe(status: dict[str, Any]) -> list[str]:
    """The status for people, line by line."""
    engine, jobs, memory = status["engine"], status["jobs"], status["memory_mib"]
    lines = [
        f"worker     {status['pid']}, version {status['software']}, up {_span(status['uptime_s'])}"
        + (", stopping" if status["stopping"] else ""),
        f"socket     {status['socket']}",
        f"log        {status['log']}",
        f"engine     {engine['state']}"
        + (f", process {engine['pid']}, up {_span(engine['uptime_s'])}" if engine["pid"] else "")
        + f", restarted {engine['restarts']} times",
    ]
    if engine["last_death"]:
        lines.append(f"           last ended: {engine['last_death']}")
    lines.append(
        f"jobs       {jobs['running']} running (at most {jobs['at_once']}), {jobs['waiting']} waiting for data, "
        f"{jobs['queued']} queued (at most {jobs['queue']})"
    )
    counts = ", ".join(f"{number} {state}" for state, number in status["counts"].items())
    lines.append(f"answers    {counts}; {jobs['answers_kept']} kept")
    lines += [f"           {number} x {reason}" for reason, number in list(status["reasons"].items())[:8]]
    for name, row in status["latency_s"].items():
        lines.append(
            f"{name:<10} median {row['p50']:.3f} s, 95 % {row['p95']:.3f} s, 99 % {row['p99']:.3f} s, "
            f"longest {row['max']:.3f} s, of {row['n']}"
        )
    for model in status["models"]:
        lines.append(f"model      {model['name']}/{model['version']} on {model['provider']}, {model['sha256'][:16]}...")
    for profile in status["profiles"]:
        lines.append(f"profile    {profile['name']}: {profile['problem'] or 'in order'}")
    if status["ring"]:
        known = [f"{key} {value}" for key, value in status["ring"].items() if value is not None]
        lines.append(f"ring       {', '.join(known)}")
    lines.append(f"memory     supervisor {memory['supervisor']} MiB, engine {memory['engine'] or '-'} MiB")
    return lines


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
