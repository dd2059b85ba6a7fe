"""cds-service screen: what the hook would advise on each response of a file, for a whole population."""

import os
import re
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_content.files import unknown
from cds_content.screening import Screening
from cds_service.config import Settings, load_content, read_settings
from cds_service.dates import span
from cds_service.errors import SettingsError

if TYPE_CHECKING:  # what they need is there with the extra only
    from cds_service.population.run import Asked, Do, Result

NOTE = "What the rules say of each response alone; no clinician has looked. Not a certified medical device."
_LIBRARIES = ("fsspec", "msgspec", "pyarrow", "tqdm")
_ENDINGS = (".parquet", ".csv")
_CHUNK = 1 << 25  # bytes
_ZONED = re.compile(r"T.*(Z|[+-]\d\d:\d\d)$", re.ASCII)


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="FILE.parquet or FILE.csv")
@click.option("--patients", multiple=True, help="NDJSON with their Patients, for the birth dates; may be repeated")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="also draw the dispositions: FILE.svg")
@click.option("--workers", type=click.IntRange(1), help="processes on this machine; without it one for each core")
@click.option("--scheduler", help="a Dask cluster in their place, such as tcp://scheduler:8786")
@click.option("--chunk", type=click.IntRange(1), default=_CHUNK, show_default=True, help="bytes done at a time")
@click.option("--at", help="the moment for which all counts, a FHIR dateTime with its zone; without it now")
@click.option("--screening", "name", help="which screening, where the content has more than one")
@click.option("--anew", is_flag=True, help="throw away what an earlier run left or wrote")
@click.option("--quiet", is_flag=True, help="no progress bar, and no table")
def screen(
    inputs: tuple[str, ...],
    out: Path,
    patients: tuple[str, ...],
    plot: Path | None,
    workers: int | None,
    scheduler: str | None,
    chunk: int,
    at: str | None,
    name: str | None,
    *,
    anew: bool,
    quiet: bool,
) -> None:
    """Judge the QuestionnaireResponses in each INPUT: NDJSON files (plain or gzip), folders, globs or addresses.

    Writes one row for each, also for what cannot be read. Started again with the same words it goes on where it was.
    """
    _check(out, workers, scheduler)
    settings = read_settings()
    chosen = _chosen(load_content(settings), name)
    asked = _asked(settings, chosen, (inputs, patients), out.absolute(), chunk, _moment(at))
    try:
        result = _run(asked, _who(workers, scheduler), at=at, anew=anew, quiet=quiet)
    except KeyboardInterrupt:
        click.echo("screen: stopped; what is done is kept, so start the same command again to go on.", err=True)
        sys.exit(130)
    _tell(chosen, result, plot, quiet=quiet)


def _check(out: Path, workers: int | None, scheduler: str | None) -> None:
    """Raises SettingsError for a library that is missing and for words that do not go together."""
    needed = {"screen": _LIBRARIES} | ({"cluster": ("distributed",)} if scheduler else {})
    for extra, libraries in needed.items():
        if missing := [one for one in libraries if find_spec(one) is None]:
            how = f"install the extra with: pip install 'cds-service[{extra}]'"
            raise SettingsError(f"screen: needs {', '.join(missing)}; {how}")
    if out.suffix not in _ENDINGS:
        raise SettingsError(f"--out: has no format that is known; write a name that ends with {' or '.join(_ENDINGS)}")
    if scheduler and workers:
        raise SettingsError("--workers: is for this machine; leave it out with --scheduler")


def _chosen(screenings: tuple[Screening, ...], name: str | None) -> Screening:
    known = {one.name: one for one in screenings}
    if name is None and len(known) > 1:
        raise SettingsError(f"--screening: there are {', '.join(known)}; write one of them")
    if name is not None and name not in known:
        raise SettingsError(f"--screening: {unknown('screening', name, known)}")
    return known[name] if name else screenings[0]


def _moment(at: str | None) -> datetime:
    """The moment asked for, else now. Raises SettingsError for what is no dateTime with a zone."""
    if at is None:
        return datetime.now(UTC)
    moments = span(at) if _ZONED.search(at) else None
    if not moments:
        raise SettingsError("--at: is no moment; write a date, a time and a zone, such as 2026-01-31T12:00:00Z")
    return moments[0]


def _asked(
    settings: Settings,
    chosen: Screening,
    words: tuple[tuple[str, ...], tuple[str, ...]],
    out: Path,
    chunk: int,
    now: datetime,
) -> "Asked":
    from cds_service.population.inputs import ENDINGS, passed_over, sources
    from cds_service.population.run import Asked, folder_of
    from cds_service.population.work import Work

    inputs, patients = sources(words[0], "INPUT"), sources(words[1], "--patients")
    if left := passed_over([*words[0], *words[1]]):
        click.echo(
            f"WARNING: {len(left)} files in folders are not read: none ends with {', '.join(ENDINGS)}.", err=True
        )
    content, days = str(settings.content.absolute()), (settings.fresh_days, settings.alarm_days)
    folder = str(folder_of(out))
    work = Work(content, settings.canonical_base, *days, chosen.name, chosen.hash, now, folder, bool(patients))
    return Asked(work, tuple(inputs), tuple(patients), out, chunk)


def _who(workers: int | None, scheduler: str | None) -> "Do":
    from cds_service.population.workers import cluster, here, processes

    number = workers or os.cpu_count() or 1
    return partial(cluster, scheduler) if scheduler else here if number == 1 else partial(processes, number)


def _run(asked: "Asked", do: "Do", *, at: str | None, anew: bool, quiet: bool) -> "Result":
    from tqdm import tqdm

    from cds_service.population.run import run

    whole, unseen = sum(one.size for one in asked.inputs), quiet or None  # None: only where a terminal looks
    with tqdm(total=whole, unit="B", unit_scale=True, unit_divisor=1024, disable=unseen, file=sys.stderr) as bar:
        return run(asked, do, bar.update, at=bool(at), anew=anew)


def _tell(chosen: Screening, result: "Result", plot: Path | None, *, quiet: bool) -> None:
    from cds_service.population.parts import renamed
    from cds_service.population.summary import chart, shares, table

    found = shares(chosen, result.counted)
    if plot:
        try:
            with renamed(plot) as file:
                file.write(chart(f"{chosen.name} {chosen.version}", found).encode())
        except OSError as error:
            raise SettingsError(f"--plot: {plot} cannot be written ({error.strerror}); write another") from None
    if not quiet:
        click.echo(f"{table(found)}\n\n{NOTE}")
    if result.patients_unread:
        words = "lines of --patients could not be read: the birth date of patients not found there counts as unreadable"
        click.echo(f"WARNING: {result.patients_unread} {words}.", err=True)
