"""What is told of every call: one line in the log, and the figures; never what was sent or answered."""

from flask import Flask


def observe(app: Flask) -> None:
    """Every call of this application is logged and counted."""
