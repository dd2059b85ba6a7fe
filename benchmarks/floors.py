"""The least that a handler does, behind the server of the service: python -m benchmarks.floors KIND PORT FOLDER

`bare` reads the JSON and answers; `recorded` is Flask, and also keeps one row of each call in SQLite, with the settings
of the service's own database; `libraries` is `recorded` with every library in memory that the service imports.
"""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request

from cds_service.server import serve

CARD = json.loads((Path(__file__).parent / "others" / "card.json").read_text("utf-8"))
_TABLE = """CREATE TABLE IF NOT EXISTS decisions (id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    patient TEXT NOT NULL, instance TEXT NOT NULL, questionnaire TEXT NOT NULL, answers TEXT NOT NULL)"""
_ROW = "INSERT INTO decisions (patient, instance, questionnaire, answers) VALUES (?, ?, ?, ?)"
_SETTINGS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON")


def main(kind: str, port: str, folder: str) -> None:
    """Serves until it is told to stop."""
    if kind == "libraries":
        _import_what_the_service_imports()
    serve(bare if kind == "bare" else _flask(Path(folder) / "decisions.sqlite"), "127.0.0.1", int(port))


def bare(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI alone."""
    called = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    answer = json.dumps({"cards": [CARD] if "prefetch" in called else []}).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


def _flask(path: Path) -> Flask:
    app, held, line = Flask(__name__), threading.local(), threading.Lock()

    @app.post("/")
    def call() -> Response:
        called = request.get_json()
        if not hasattr(held, "database"):
            held.database = _opened(path)
        with line, held.database:  # one writer at a time, and a commit at the end
            held.database.execute(_ROW, _row(called))
        return jsonify(cards=[CARD])

    _opened(path).execute(_TABLE)
    return app


def _row(called: dict[str, Any]) -> tuple[str, ...]:
    response = called["prefetch"]["responses"]["entry"][0]["resource"]
    instance, patient = called["hookInstance"], called["context"]["patientId"]
    return patient, instance, response["questionnaire"], str(len(response["item"]))


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    for setting in _SETTINGS:
        database.execute(f"PRAGMA {setting}")
    return database


def _import_what_the_service_imports() -> None:
    """Every module that is in memory after its import, but none of its own."""
    asked = "import sys, cds_service.cli; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    for name in told.stdout.split():
        if not name.startswith("cds_") and not name.startswith("_"):
            with suppress(ImportError):  # a name that a library put there by itself
                import_module(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
