"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """``1 station``, ``2 stations``: a number with its noun, which takes an s for more than one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
