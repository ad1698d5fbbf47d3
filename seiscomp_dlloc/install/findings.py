"""What is found where an installation is looked at."""

from dataclasses import dataclass

OK, NOTE, WARNING, FAULT = "ok", "note", "warning", "FAULT"
"""Levels of a finding. A fault keeps something from working."""


@dataclass(frozen=True)
class Finding:
    """What was looked at and how it stands; ``mend``: what to do about it."""

    level: str
    subject: str
    what: str
    mend: str = ""

    def lines(self) -> list[str]:
        """For people."""
        return [f"{self.level:<8} {self.subject}: {self.what}", *([f"{'':8} -> {self.mend}"] if self.mend else [])]
