"""Samples for code.yaml: each rule finds the lines that say so, and no other."""

import hashlib
import hmac
import json
import os
import pickle
import random
import secrets
import subprocess
from datetime import UTC, date, datetime

import yaml
from flask import render_template, render_template_string
from markupsafe import Markup
from sqlalchemy import text


def sql(connection, name) -> None:
    # ruleid: sql-from-text
    connection.execute(f"SELECT * FROM cards WHERE uuid = '{name}'")
    # ruleid: sql-from-text
    connection.execute(text("SELECT * FROM " + name))
    # ruleid: sql-from-text
    connection.exec_driver_sql("SELECT * FROM %s" % name)
    # ok: sql-from-text
    connection.execute(text("SELECT * FROM cards WHERE uuid = :uuid"), {"uuid": name})
    # ruleid: sql-from-text
    connection.execute("SELECT * FROM {}".format(name))
    # ok: sql-from-text
    connection.execute(f"SET LOCAL lock_timeout = '{WAIT}s'")
    # ok: sql-from-text
    connection.execute(f"PRAGMA {settings[0]}")
    # ok: sql-from-text
    connection.execute(cards.select().where(cards.c.uuid == name))


def comparisons(token: str, known: str, metrics_token: str) -> bool:
    # ruleid: secret-compared
    if token == known:
        return True
    # ruleid: secret-compared
    if known != service.metrics_token:
        return False
    # ruleid: secret-compared
    if hashlib.sha256(known).hexdigest() == known:
        return False
    # ok: secret-compared
    tokens.select().where(tokens.c.token == known)
    # ok: secret-compared
    if metrics_token == "":
        return False
    # ok: secret-compared
    return hmac.compare_digest(token, known)


def chance() -> str:
    # ruleid: guessable-random
    random.choice("ab")
    # ok: guessable-random
    return secrets.token_hex()


def hashes(data: bytes) -> None:
    # ruleid: weak-hash
    hashlib.md5(data)
    # ok: weak-hash
    hashlib.sha256(data)


def clocks() -> None:
    # ruleid: clock-without-zone
    datetime.now()
    # ruleid: clock-without-zone
    datetime.utcnow()
    # ruleid: clock-without-zone
    date.today()
    # ruleid: clock-without-zone
    datetime.fromtimestamp(0)
    # ok: clock-without-zone
    datetime.now(UTC)
    # ok: clock-without-zone
    datetime.fromtimestamp(0, UTC)


def data_that_runs(data: bytes) -> None:
    # ruleid: data-as-code
    eval(data)
    # ruleid: data-as-code
    pickle.loads(data)
    # ruleid: data-as-code
    yaml.load(data)
    # ok: data-as-code
    yaml.safe_load(data)


def commands(name: str) -> None:
    # ruleid: command-for-a-shell
    subprocess.run(f"ls {name}", shell=True)
    # ruleid: command-for-a-shell
    os.system("ls")
    # ok: command-for-a-shell
    subprocess.run(["ls", name])


def pages(name: str) -> None:
    # ruleid: markup-from-text
    render_template_string(f"<p>{name}</p>")
    # ruleid: markup-from-text
    Markup(name)
    # ok: markup-from-text
    render_template("page.html.jinja", name=name)


def bodies(data: bytes) -> None:
    # ruleid: lenient-json
    json.loads(data)
    # ruleid: lenient-json
    request.get_json()
    # ok: lenient-json
    json.loads(Path("contract.json").read_text("utf-8"))
    # ok: lenient-json
    strict_json.read(data)


def servers() -> None:
    # ruleid: server-of-the-framework
    app.run()
    # ruleid: server-of-the-framework
    app.debug = True
    # ok: server-of-the-framework
    serve(app)
