"""What the benchmarks share: timing, the machine's description, and the tables in README.md, which only they write."""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

README = Path(__file__).with_name("README.md")


Clock = Callable[[], float]


def best_ms(work: Callable[[], object], repeats: int, least_s: float = 0.5, clock: Clock = time.perf_counter) -> float:
    """Median time (ms; wall time by default) of ``work`` after one run to warm up: at least ``repeats`` runs and
    ``least_s`` seconds.
    """
    work()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < repeats or time.perf_counter() - start < least_s:
        before = clock()
        work()
        times.append(clock() - before)
    return 1e3 * statistics.median(times)


def machine() -> str:
    """Processor, cores that this process may use, Python."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = lines[0] if lines else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, Python {platform.python_version()}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def add_write_option(parser: argparse.ArgumentParser) -> None:
    """``--write NAME``: put the result into README.md, in place of what stood under that name."""
    parser.add_argument(
        "--write", metavar="NAME", help="write the table into bench/README.md as section NAME, e.g. 'inference-cpu'"
    )


def publish(text: str, section: str | None) -> None:
    """Print ``text`` and, where a section is named, put it between its marks in README.md (at the end if new)."""
    print(text)
    if section is None:
        return
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    document = README.read_text("utf-8")
    block = f"{begin}\n{text.strip()}\n{end}"
    if begin in document:
        before, rest = document.split(begin, 1)
        document = before + block + rest.split(end, 1)[1]
    else:
        document = document.rstrip() + f"\n\n{block}\n"
    README.write_text(document, "utf-8")
