"""How large an attack is: small in every run of the tests, full with ATTACK=full, as `make attack` says.

An attack is bounded, and calls addresses on this machine only.
"""

import os
import sys

FULL = os.environ.get("ATTACK") == "full"


def times(few: int, many: int) -> int:
    """How often: `few` in every run, `many` in a full attack."""
    return many if FULL else few


def tell(name: str, **figures: object) -> None:
    """Prints a line of figures, which `make attack` shows."""
    said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items())
    sys.stdout.write(f"{name}: {said}\n")
