"""One-shots: the origins of a file (``--ep``), or one of the database (``--origin-id``). No main loop."""

import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Tuple

from seiscomp import datamodel

from ..errors import EventFileError
from .audit import Audit
from .database import Database
from .engine import Engine
from .host import complain
from .journal import Journal, Sending
from .objects import arrivals_of, from_xml, only_origin, quiet, to_xml
from .plan import Plan
from .planning import make_plan
from .sender import Link

SECONDS_PER_ORIGIN = 60.0
START_S = 60.0


class Documents:
    """Origins and picks of a file, looked up as in a database."""

    def __init__(self, parameters: Any) -> None:
        self._origins = {parameters.origin(i).publicID(): parameters.origin(i) for i in range(parameters.originCount())}
        self._picks = {parameters.pick(i).publicID(): parameters.pick(i) for i in range(parameters.pickCount())}

    def origin(self, public_id: str) -> Optional[Tuple[Any, List[Any]]]:
        """(origin, its picks), copies: they are put into a document of their own. None where the file has none."""
        found = self._origins.get(public_id)
        if found is None:
            return None
        copy = datamodel.Origin.Cast(found.clone())
        picks = []
        for arrival in arrivals_of(found):
            own = datamodel.Arrival.Cast(arrival.clone())
            copy.add(own)
            if arrival.pickID() in self._picks:
                picks.append(datamodel.Pick.Cast(self._picks[arrival.pickID()].clone()))
        return copy, picks

    def close(self) -> None:
        """Nothing is open."""


class Collector:
    """Takes the place of the sender: keeps the documents."""

    def __init__(self, journal: Journal) -> None:
        self.documents: List[bytes] = []
        self.waiting = 0
        self._journal = journal

    def put(self, sending: Sending) -> None:
        """Keep an origin."""
        self.documents.append(sending.document)
        self._journal.stored(sending.public_id, time.time())

    def step(self) -> Optional[float]:
        """Nothing ever waits."""
        return None

    def close(self) -> None:
        """Nothing is open."""


def locate_document(settings: Any, hello: Dict[str, Any], path: str, formatted: bool) -> int:
    """Locate the origins of an SCML file; 0 where all that the rules take were located, else 1.

    Raises EventFileError where the file cannot be read.
    """
    quiet()
    try:
        if path == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as handle:
                content = handle.read()
        parameters = from_xml(content)
    except OSError as error:
        raise EventFileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise EventFileError(f"{path}: {error}") from error
    names = [parameters.origin(i).publicID() for i in range(parameters.originCount())]
    # Each is located once, on whatever its waveforms hold: a file does not evolve
    plan = make_plan(settings, hello, once=True)
    start_worker(plan)
    with tempfile.TemporaryDirectory(prefix="dlloc-") as folder:
        journal = Journal(os.path.join(folder, "journal"))
        audit = Audit(plan.audit_file)
        collector = Collector(journal)
        engine = Engine(plan, Documents(parameters), None, journal, audit, sender=collector)
        engine.run_until_done(names, SECONDS_PER_ORIGIN * max(1, len(names)), forced=False)
        outcomes = [job.outcome for job in journal.jobs.values()]
        taken = len({job.origin for job in journal.jobs.values()})
        engine.finish(0.0)
    for document in collector.documents:
        parameters.add(only_origin(document))
    sys.stdout.buffer.write(to_xml(parameters, formatted))
    sys.stdout.buffer.flush()
    done = all(outcome == "accepted" for outcome in outcomes)
    said = f"{len(names)} origins read, {taken} meet the conditions, {len(collector.documents)} new ones"
    complain(said if done and taken == len(names) else f"{said}; {plan.audit_file} says why not more")
    return 0 if done else 1


def start_worker(plan: Plan) -> None:
    """Have a worker with the present settings, before its deadlines run. Raises WorkerUnavailable where none starts."""
    if plan.launcher is not None:
        plan.launcher(START_S)


def locate_origin(settings: Any, hello: Dict[str, Any], origin_id: str) -> int:
    """Locate one origin of the database and send it; 0 where it was located."""
    quiet()
    # An operator who asks for it wants an origin on today's data and settings, whatever has been sent before
    name = "asked-" + datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
    plan = replace(make_plan(settings, hello, once=True), last_name=name)
    start_worker(plan)
    with tempfile.TemporaryDirectory(prefix="dlloc-") as folder:
        journal = Journal(os.path.join(folder, "journal"))
        link = None if hello.get("test") else Link(str(hello["messaging"]), str(hello["group"]))
        engine = Engine(plan, Database(str(hello["database"])), link, journal, Audit(plan.audit_file))
        engine.run_until_done([origin_id], plan.pace.deadline_s + SECONDS_PER_ORIGIN, forced=True)
        outcomes = [job.outcome for job in journal.jobs.values()]
        waiting = journal.unstored() if link is not None else []
        engine.finish(5.0)
    if waiting:
        complain(f"{origin_id}: located, but the database does not show our origin")
        return 1
    if not outcomes:
        complain(f"{origin_id}: not located; {plan.audit_file} says why")
        return 1
    sent = "".join(f"; {name}" for name in sorted(journal.sendings))
    complain(f"{origin_id}: {', '.join(outcomes)}{sent}")
    return 0 if all(outcome == "accepted" for outcome in outcomes) else 1
