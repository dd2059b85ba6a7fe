"""cds-service conformance: checks any CDS Hooks service from outside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.conformance import CHECKS, Result, Seen, State, Target, judged, look_at
from cds_service.conformance.report import as_json, as_junit, as_text
from cds_service.conformance.signing import ALGORITHMS, Signer
from cds_service.errors import BadRequest

WRONG_USE = 2  # the exit code for arguments that are wrong and for a service out of reach
_LONGEST = 300.0  # seconds
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.argument("url")
@click.option(
    "--service", "only", multiple=True, help="the id of a service; may be repeated; without it all are checked"
)
@click.option(
    "--call", "own", multiple=True, type=_FILE, help="a request body of your own for its hook; may be repeated"
)
@click.option("--token", default="", help="a bearer token for every call, or @FILE that holds it")
@click.option("--jwt-key", type=_FILE, help="a private key, PEM or JWK: each call is signed with it")
@click.option("--issuer", default="", help="iss of the JWT")
@click.option("--kid", default="", help="kid of the JWT")
@click.option("--alg", type=click.Choice(ALGORITHMS), default="ES384", show_default=True, help="alg of the JWT")
@click.option("--jku", default="", help="jku of the JWT; without it the JWT has none")
@click.option(
    "--audience", default="", help="the base URL in aud of the JWT, where the service knows itself by another"
)
@click.option("--origin", default="", help="check CORS for pages of this origin, such as https://ehr.example")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, _LONGEST),
    default=10.0,
    show_default=True,
    help="seconds that an answer may take",
)
@click.option("--json", "json_file", type=_NEW_FILE, help="write the report as JSON as well")
@click.option("--junit", "junit_file", type=_NEW_FILE, help="write the report as JUnit XML as well")
def conformance(
    url: str, only: tuple[str, ...], own: tuple[Path, ...], json_file: Path | None, junit_file: Path | None,
    audience: str, origin: str, timeout: float, **who: Any,
) -> None:  # fmt: skip
    """Check the CDS Hooks service at URL from outside, row by row of the requirements.

    URL is the base URL, the part before /cds-services. Calls are made up, of an invented patient; do not check a
    service in use. Ends with 0 when no row failed, with 1 when one did, and with 2 when the service could not be asked.
    """
    target = Target(
        _base(url),
        timeout,
        _origin(origin),
        _token(who["token"]),
        _signer(**who),
        _base(audience, "--audience") if audience else "",
    )
    seen = look_at(target, only, [_body(path) for path in own])
    _stop_if_unasked(seen, only)
    results = [judged(check, seen) for check in CHECKS]
    _write(results, target, json_file, junit_file)
    click.echo(as_text(results))
    if any(result.state is State.FAIL for result in results):
        raise click.exceptions.Exit(1)


def _origin(origin: str) -> str:
    base = _base(origin, "--origin") if origin else ""
    if urlsplit(base).path:
        _stop("--origin: has a path; write such as https://ehr.example")
    return base


def _base(url: str, name: str = "URL") -> str:
    """The base URL; that of discovery is taken as well. `name` is that of the argument."""
    try:
        parts = urlsplit(url)
        right = bool(parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment))
        right = right and parts.username is None and parts.port != 0
    except ValueError:
        right = False
    if not right:
        _stop(f"{name}: is no base URL; write such as https://cds.example.org")
    return url.rstrip("/").removesuffix("/cds-services").rstrip("/")


def _token(token: str) -> str:
    if not token.startswith("@"):
        return token
    try:
        return Path(token[1:]).read_text("utf-8").strip()
    except (OSError, ValueError):
        _stop("--token: the file cannot be read; write @ and the path of a file that holds the token")


def _signer(*, token: str, jwt_key: Path | None, issuer: str, kid: str, alg: str, jku: str) -> Signer | None:
    if jwt_key is None:
        if issuer or kid or jku:
            _stop("--issuer, --kid, --jku: are those of a JWT; write --jwt-key as well")
        return None
    if token:
        _stop("--token: is another way to say who calls than --jwt-key; write one of them")
    if not (issuer and kid):
        _stop("--jwt-key: write --issuer and --kid as well, as the service knows them")
    signer = Signer(_key(jwt_key, alg), issuer, kid, alg, jku)
    _try(signer)
    return signer


def _key(path: Path, alg: str) -> ECKey | RSAKey:
    kind = ECKey if alg.startswith("ES") else RSAKey
    try:
        text = path.read_bytes()
        key = kind.import_key(strict_json.read(text) if text.lstrip().startswith(b"{") else text)
    except (OSError, ValueError, TypeError, JoseError, BadRequest):
        _stop(f"--jwt-key: is no key for {alg}; write a file with a private key, as PEM without password or as JWK")
    if not key.is_private:
        _stop("--jwt-key: is a public key; write the file with the private one")
    return key


def _try(signer: Signer) -> None:
    try:
        signer.sign("https://cds.example.org")
    except (ValueError, JoseError):
        _stop(f"--alg: the key does not fit {signer.alg}; write the algorithm of the key")


def _body(path: Path) -> Json:
    """A call of one's own."""
    try:
        body = strict_json.read(path.read_bytes())
    except (OSError, BadRequest):
        _stop(f"--call {path}: is not strict JSON; write the body of a call")
    members = {"hook": str, "hookInstance": str, "context": dict}
    if not isinstance(body, dict) or not all(isinstance(body.get(name), kind) for name, kind in members.items()):
        _stop(f"--call {path}: is no call; write hook, hookInstance and context")
    if not isinstance(body.get("prefetch", {}), dict):
        _stop(f"--call {path}: prefetch is no object; write a value for each key")
    return body


def _stop_if_unasked(seen: Seen, only: Sequence[str]) -> None:
    """Ends where a report would say of a service what was never seen."""
    if not seen.discovery.status:
        _stop(f"URL: {seen.discovery.unread}")
    if seen.discovery.status in (401, 403):
        _stop(f"discovery answers {seen.discovery.status}; say who calls with --token or --jwt-key")
    found = {one["id"] for one in seen.services}
    if missing := [id_ for id_ in only if id_ not in found]:
        _stop(f"--service: discovery does not list {', '.join(missing)}")
    statuses = {call.reply.status for call in seen.calls}
    if statuses and statuses <= {401, 403}:
        _stop("every call is refused with 401 or 403; say who calls with --token or --jwt-key")


def _write(results: Sequence[Result], target: Target, json_file: Path | None, junit_file: Path | None) -> None:
    wanted = {json_file: as_json(results, target.base), junit_file: as_junit(results)}
    for path, report in wanted.items():
        try:
            if path:
                path.write_bytes(report)
        except OSError:
            _stop(f"{path}: cannot be written; write the path of a file in a folder that is there")


def _stop(why: str) -> NoReturn:
    """Ends with one line on standard error."""
    click.echo(why, err=True)
    raise click.exceptions.Exit(WRONG_USE)
