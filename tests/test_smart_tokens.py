"""SMART Backend Services: a signed assertion gives an access token, which reaches what was agreed and nothing else."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.auth import authenticator
from cds_service.clients import DEVELOPMENT, Client
from cds_service.errors import TooManyCalls
from cds_service.scopes import granted, reaches, read_scopes, written
from cds_service.store import access, access_tokens, first_use, give_access, open_store, purge
from cds_service.store.lifetimes import Keep
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.requirements.callers import (
    OTHERS_ISSUER,
    Clock,
    ask,
    bearer,
    is_accepted,
    is_refused,
    publisher,
    refusals_in,
    service_in,
)
from tests.requirements.wrong_tokens import NONES
from tests.store_samples import kept
from tests.test_submission import sound
from tests.tokens import (
    EHR,
    EHR_RSA,
    ISSUER,
    NOW,
    OTHER,
    PUBLIC,
    STRANGER,
    KeyPair,
    base64url,
    claims,
    elliptic,
    header,
    key_set,
    seconds,
    token,
    unsigned,
)
from tests.wire import ABSENT, refusal_of, store_in

pytestmark = pytest.mark.timeless  # the clock of the service is one of the tests

TOKEN = f"{PUBLIC}/auth/token"
KIND = "/fhir/QuestionnaireResponse"
ALL = "system/AuditEvent.rs system/Questionnaire.rs system/QuestionnaireResponse.cruds"
ROLES = frozenset({"client", "auditor", "operator"})
TENANTS = frozenset({"hospital-a"})
CLIENTS = {
    DEVELOPMENT: Client(),
    "ehr": Client(issuer=ISSUER, jwks="ehr.json", tenants=TENANTS, roles=ROLES, scopes=(*ALL.split(), "system/*.rs")),
    "other": Client(
        issuer=OTHERS_ISSUER, jwks="other.json", scopes=("system/QuestionnaireResponse.rs",), longest_token=3600
    ),
}


def deployment(screening: Screening, store: Engine, folder: Path, clock: Clock | None = None) -> Deployment:
    """A service that authenticates, with this database, and the keys of its clients in the folder."""
    time = clock or Clock()
    for name, keys in {"ehr.json": (EHR, EHR_RSA), "other.json": (OTHER,)}.items():
        (folder / name).write_text(key_set(*(key.jwk() for key in keys)), "utf-8")
    identify = authenticator(CLIENTS, folder, lambda issuer, jti, until: first_use(store, issuer, jti, until, time.now))
    return Deployment((screening,), store, PUBLIC, clients=CLIENTS, identify=identify, now=lambda: time.now)


@pytest.fixture(scope="module", name="served")
def _served(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("smart")
    store = store_in(folder / "store.sqlite")
    yield deployment(screening, store, folder)
    store.dispose()


@pytest.fixture(scope="module", name="service")
def _service(served: Deployment) -> FlaskClient:
    app = create_app(served)
    app.testing = False  # so that an error of ours is answered as it is in use
    return app.test_client()


def assertion(key: KeyPair = EHR, *, head: dict[str, Any] | None = None, **changed: Any) -> str:
    """A right assertion, but for what is changed."""
    right = {"sub": changed.get("iss", ISSUER)} | changed
    return token(header(key, **(head or {})), claims(**({"aud": TOKEN} | right)), key)


def form(signed: str | None = None, **changed: Any) -> dict[str, Any]:
    """A right request for a token, but for what is changed."""
    right = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed or assertion(),
        "scope": ALL,
    }
    return {name: value for name, value in (right | changed).items() if value is not ABSENT}


def asked(service: FlaskClient, signed: str | None = None, **changed: Any) -> TestResponse:
    return service.post("/auth/token", data=form(signed, **changed))


def given(service: FlaskClient, scope: str = ALL, signed: str | None = None) -> dict[str, str]:
    """The Authorization header with a new access token."""
    answer = asked(service, signed, scope=scope)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.get_json()['access_token']}"}


def error_of(answer: TestResponse) -> str:
    """The error of RFC 6749, 5.2; fails unless the answer is one, with the status and the letters that it may have."""
    assert answer.status_code == (401 if answer.get_json()["error"] == "invalid_client" else 400), answer.text
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("application/json", "no-store")
    assert ("WWW-Authenticate" in answer.headers) is (answer.status_code == 401)
    body = answer.get_json()
    assert set(body) == {"error", "error_description"}
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", body["error_description"])
    error: str = body["error"]
    return error


# ------------------------------------------------------------------------------------------------------- what is given


def test_everybody_may_read_where_and_how_tokens_are_given(service: FlaskClient) -> None:
    answer = service.get("/fhir/.well-known/smart-configuration", headers={"Accept": "application/json"})

    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    said = answer.get_json()
    assert said["token_endpoint"] == TOKEN
    assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(said["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert said["grant_types_supported"] == ["client_credentials"]
    assert "client-confidential-asymmetric" in said["capabilities"]
    assert read_scopes(" ".join(said["scopes_supported"])) >= read_scopes(f"{ALL} system/*.rs")


def test_the_capability_statement_says_that_tokens_are_those_of_smart(service: FlaskClient) -> None:
    (security,) = [one["security"] for one in service.get("/fhir/metadata").get_json()["rest"]]

    assert [coding["code"] for one in security["service"] for coding in one["coding"]] == ["SMART-on-FHIR"]


RIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "ES384": (assertion(), {}),
    "RS384": (assertion(EHR_RSA), {}),
    "without iat, which SMART does not ask for": (assertion(iat=ABSENT), {}),
    "five minutes ahead, the most": (assertion(exp=seconds(300), iat=ABSENT), {}),
    "the address in an array": (assertion(aud=[TOKEN]), {}),
    "nbf five minutes before": (assertion(nbf=seconds(-300)), {}),
    "with the client_id beside it": (assertion(), {"client_id": ISSUER}),
    "with a parameter that nobody knows": (assertion(), {"audience": "x"}),
    "of a tenant": (assertion(tenant="hospital-a"), {}),
}


@pytest.mark.parametrize(("signed", "more"), RIGHT.values(), ids=RIGHT)
def test_a_right_assertion_gives_a_token_for_five_minutes(
    service: FlaskClient, signed: str, more: dict[str, Any]
) -> None:
    answer = asked(service, signed, **more)

    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    body = answer.get_json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}  # and no refresh token
    assert (body["token_type"], body["expires_in"]) == ("bearer", 300)
    assert read_scopes(body["scope"]) == read_scopes(ALL)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", body["access_token"])  # 256 bits
    reads = service.get(KIND, headers={"Authorization": f"Bearer {body['access_token']}"})
    assert reads.status_code == 200


def test_no_two_tokens_are_the_same(service: FlaskClient) -> None:
    assert len({given(service)["Authorization"] for _ in range(20)}) == 20


# What is asked for, what was agreed, and what is given: never more than either.
GRANTED: list[tuple[str, str, str]] = [
    ("system/QuestionnaireResponse.cruds", "system/QuestionnaireResponse.rs", "system/QuestionnaireResponse.rs"),
    ("system/QuestionnaireResponse.r", "system/QuestionnaireResponse.cruds", "system/QuestionnaireResponse.r"),
    ("system/*.rs", "system/QuestionnaireResponse.cruds", "system/QuestionnaireResponse.rs"),
    ("system/*.cruds", "system/*.rs", "system/*.rs"),
    ("system/AuditEvent.rs", "system/*.r", "system/AuditEvent.r"),
    ("system/*.cruds", "system/A.c system/B.d", "system/A.c system/B.d"),
    ("system/A.c system/A.d", "system/A.cruds", "system/A.cd"),
    ("system/A.r system/B.r", "system/A.r", "system/A.r"),
    ("system/A.c", "system/A.ruds", ""),
    ("system/A.r", "system/B.r", ""),
    ("system/A.r", "", ""),
    ("", "system/*.cruds", ""),
]


@pytest.mark.parametrize(("wanted", "agreed", "gives"), GRANTED)
def test_a_token_has_what_was_asked_for_and_agreed(wanted: str, agreed: str, gives: str) -> None:
    assert written(granted(read_scopes(wanted), read_scopes(agreed))) == gives
    assert written(granted(read_scopes(agreed), read_scopes(wanted))) == gives


@pytest.mark.parametrize(
    ("scope", "needs", "does"),
    [
        ("system/QuestionnaireResponse.c", "QuestionnaireResponse.c", True),
        ("system/QuestionnaireResponse.ruds", "QuestionnaireResponse.c", False),
        ("system/*.c", "QuestionnaireResponse.c", True),
        ("system/AuditEvent.c", "QuestionnaireResponse.c", False),
        ("system/QuestionnaireResponse.r", "*.r", False),
        ("system/*.r", "*.r", True),
        ("system/*.cruds", "", False),
    ],
)
def test_a_scope_reaches_the_interactions_that_it_names(scope: str, needs: str, does: bool) -> None:
    assert reaches(read_scopes(scope), needs) is does


NO_SCOPES = [
    *("system/QuestionnaireResponse.read", "system/*.*", "system/QuestionnaireResponse.", "system/*.sr", "system/*.x"),
    *("user/*.rs", "patient/*.rs", "openid", "launch", "offline_access", "system/QuestionnaireResponse.rs?status=x"),
    *("System/*.rs", "system/questionnaireResponse.r", "system/.r", "system/*", "*", "system/A.r,system/B.r"),
    *("system/A.r\tsystem/B.r", "system/A.r\n", "system/\N{LATIN SMALL LETTER E WITH ACUTE}.r", "system/A.rr"),
]


@pytest.mark.parametrize("scope", [*NO_SCOPES, "", " ", "system/Patient.rs", ABSENT], ids=repr)
def test_a_scope_that_is_none_or_was_not_agreed_gives_no_token(service: FlaskClient, scope: Any) -> None:
    one = assertion(OTHER, iss=OTHERS_ISSUER)
    assert error_of(asked(service, one, scope=scope)) == "invalid_scope"


def test_a_client_without_scopes_is_given_no_token(screening: Screening, tmp_path: Path) -> None:
    client = service_in(screening, tmp_path)  # whose clients have none
    for scope in (ALL, "system/*.cruds"):
        assert error_of(asked(client, scope=scope)) == "invalid_scope"


# -------------------------------------------------------------------------------------------------- what is not given

INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("no grant type", {"grant_type": ABSENT}, "invalid_request"),
    ("two grant types", {"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
    ("two scopes", {"scope": ["system/*.r", "system/*.s"]}, "invalid_request"),
    ("a password", {"grant_type": "password"}, "unsupported_grant_type"),
    ("a code", {"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ("a refresh token", {"grant_type": "refresh_token"}, "unsupported_grant_type"),
    ("a JWT as the grant", {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
    ("no assertion", {"client_assertion": ABSENT}, "invalid_client"),
    ("a secret", {"client_assertion": ABSENT, "client_id": ISSUER, "client_secret": "x"}, "invalid_client"),
    ("no type of assertion", {"client_assertion_type": ABSENT}, "invalid_client"),
    ("SAML", {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, "invalid_client"),
    ("another client's id", {"client_id": OTHERS_ISSUER}, "invalid_client"),
    ("our name of the client", {"client_id": "ehr"}, "invalid_client"),
]


@pytest.mark.parametrize(("changed", "error"), [row[1:] for row in INVALID], ids=[row[0] for row in INVALID])
def test_what_is_no_request_for_a_token_is_told_what_to_write(
    service: FlaskClient, changed: dict[str, Any], error: str
) -> None:
    assert error_of(asked(service, **changed)) == error


def test_a_request_counts_as_a_form_in_the_body_only(service: FlaskClient) -> None:
    assert error_of(service.post("/auth/token", json=form())) == "invalid_request"
    assert error_of(service.post("/auth/token", query_string=form())) == "invalid_request"
    assert error_of(service.post("/auth/token", data=form(), content_type="multipart/form-data")) == "invalid_request"
    assert error_of(service.post("/auth/token", data=b"\xff=%ff")) == "invalid_request"
    twice = service.post("/auth/token", data=form(), headers={"Authorization": bearer(TOKEN)})
    assert error_of(twice) == "invalid_request"
    assert service.get("/auth/token", query_string=form()).status_code == 405
    refusal_of(asked(service, scope="x" * 20_000), 413)


_ONE = claims(TOKEN, sub=ISSUER)
WRONG: dict[str, str] = {
    "another's key": assertion(OTHER),
    "nobody's key": assertion(STRANGER),
    "no signature": f"{unsigned(header(), _ONE)}.",
    **{f"alg {alg!r}": f"{unsigned(header(alg=alg), _ONE)}.{base64url(b'x')}" for alg in NONES},
    "HS384": token(header(alg="HS384"), _ONE),
    "RS256": token(header(EHR_RSA, alg="RS256"), _ONE, EHR_RSA, "RS256"),
    "no sub": assertion(sub=ABSENT),
    "another sub": assertion(sub=OTHERS_ISSUER),
    "a sub in an array": assertion(sub=[ISSUER]),
    "a null sub": assertion(sub=None),
    "an unknown iss": assertion(iss="https://nobody.example"),
    "no iss": assertion(iss=ABSENT, sub=ISSUER),
    "no jti": assertion(jti=ABSENT),
    "no exp": assertion(exp=ABSENT),
    "iat as text": assertion(iat="1"),
    "expired": assertion(exp=seconds(-60), iat=seconds(-300)),
    "six minutes ahead": assertion(exp=seconds(361)),
    "six minutes ahead, without iat": assertion(exp=seconds(361), iat=ABSENT),
    "an hour ahead, as its hook tokens may be": assertion(OTHER, iss=OTHERS_ISSUER, exp=seconds(3600), iat=ABSENT),
    "in the future": assertion(iat=seconds(90), exp=seconds(300)),
    "for a hook": assertion(aud=f"{PUBLIC}{SERVICE}"),
    "for the FHIR base": assertion(aud=f"{PUBLIC}/fhir"),
    "for the service": assertion(aud=PUBLIC),
    "for the endpoint with a slash": assertion(aud=f"{TOKEN}/"),
    "an unknown tenant": assertion(tenant="hospital-b"),
    "a jku that was not agreed": assertion(head={"jku": "https://ehr.example/jwks.json"}),
    "its own key": assertion(STRANGER, head={"jwk": STRANGER.jwk()}),
    "crit": assertion(head={"crit": ["exp"]}),
    "an unknown kid": assertion(elliptic("ehr-9")),
    "another typ": assertion(head={"typ": "at+jwt"}),
    "no token": "x",
    "a blank before": f" {assertion()}",
    "with the scheme": f"Bearer {assertion()}",
    "an access token": "A" * 43,
}


@pytest.mark.parametrize("signed", WRONG.values(), ids=WRONG)
def test_a_wrong_assertion_gives_no_token(service: FlaskClient, signed: str) -> None:
    assert error_of(asked(service, signed)) == "invalid_client"


def test_every_wrong_assertion_has_the_same_answer_to_the_byte(service: FlaskClient) -> None:
    assert len({asked(service, signed).get_data() for signed in WRONG.values()}) == 1


def test_an_assertion_is_accepted_once(service: FlaskClient) -> None:
    signed = assertion()
    assert asked(service, signed).status_code == 200
    assert error_of(asked(service, signed)) == "invalid_client"
    assert asked(service, assertion(jti="smart-1")).status_code == 200
    assert error_of(asked(service, assertion(EHR_RSA, jti="smart-1"))) == "invalid_client"


def test_a_token_of_a_hook_is_no_assertion_and_an_assertion_opens_no_hook(service: FlaskClient) -> None:
    hook = bearer().removeprefix("Bearer ")
    assert error_of(asked(service, hook)) == "invalid_client"
    is_refused(ask(service, f"Bearer {assertion()}"))
    is_refused(service.get(KIND, headers={"Authorization": f"Bearer {assertion()}"}))
    is_accepted(ask(service, f"Bearer {hook}"))


def test_the_log_has_the_reason_and_nothing_of_the_assertion(
    service: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    signed = [assertion(sub="sub-7d1f"), assertion(exp=seconds(900), jti="jti-7d1f"), assertion()]
    first, second, last = (asked(service, one) for one in signed)
    shown = last.get_json()["access_token"]
    service.get(KIND, headers={"Authorization": f"Bearer {shown[:-1]}A"})

    assert (first.status_code, second.status_code) == (401, 401)
    assert refusals_in(caplog) == [("ehr", "other-sub"), ("ehr", "lifetime")]
    parts = [part for one in signed for part in one.split(".")]
    assert [part for part in (*parts, shown, "7d1f") if part in caplog.text] == []


def test_where_the_keys_cannot_be_had_the_client_is_told_to_come_back(screening: Screening, tmp_path: Path) -> None:
    with publisher() as keys:
        clients = {"ehr": Client(issuer=ISSUER, jwks=keys.address, scopes=(ALL.split()[0],), private_addresses=True)}
        client = service_in(screening, tmp_path, clients=clients, https_only=False)
        keys.say(b"", 500)
        refusal_of(asked(client), 503)


def test_a_call_too_many_for_a_token_is_told_so(deployed: Deployment) -> None:
    asking: list[tuple[str, int]] = []

    def admit(owner: str, agreed: int) -> None:
        asking.append((owner, agreed))
        raise TooManyCalls(7)

    answer = asked(create_app(replace(deployed, admit=admit)).test_client())

    refusal_of(answer, 429)
    assert (answer.headers["Retry-After"], asking) == ("7", [("ehr", 100)])
    assert kept(deployed.store, access_tokens) == []


# --------------------------------------------------------------------------------------------------- what a token does

PARAMETERS = {"resourceType": "Parameters", "parameter": []}
# Every interaction that wants a caller: method, address, body, and the scope that reaches it.
INTERACTIONS: list[tuple[str, str, Any, str]] = [
    ("POST", KIND, sound(), "system/QuestionnaireResponse.c"),
    ("PUT", KIND, sound(), "system/QuestionnaireResponse.u"),
    ("GET", KIND, None, "system/QuestionnaireResponse.s"),
    ("POST", f"{KIND}/_search", None, "system/QuestionnaireResponse.s"),
    ("GET", f"{KIND}/x", None, "system/QuestionnaireResponse.r"),
    ("GET", f"{KIND}/x/_history/x", None, "system/QuestionnaireResponse.r"),
    ("PUT", f"{KIND}/x", sound(), "system/QuestionnaireResponse.u"),
    ("DELETE", f"{KIND}/x", None, "system/QuestionnaireResponse.d"),
    ("POST", f"{KIND}/$validate", sound(), "system/QuestionnaireResponse.c"),
    ("GET", f"{KIND}/x/$validate", None, "system/QuestionnaireResponse.r"),
    ("POST", f"{KIND}/x/$validate", sound(), "system/QuestionnaireResponse.u"),
    ("POST", f"{KIND}/$extract", sound(), "system/QuestionnaireResponse.r"),
    ("POST", f"{KIND}/x/$extract", PARAMETERS, "system/QuestionnaireResponse.r"),
    ("POST", "/fhir/Questionnaire/$populate", PARAMETERS, "system/Questionnaire.r"),
    ("POST", "/fhir/Questionnaire/low-back-pain/$populate", PARAMETERS, "system/Questionnaire.r"),
    ("POST", "/fhir/Questionnaire/$process-response", PARAMETERS, "system/QuestionnaireResponse.c"),
    ("POST", "/fhir/Questionnaire/low-back-pain/$process-response", PARAMETERS, "system/QuestionnaireResponse.c"),
    ("POST", "/fhir/PlanDefinition/$apply", PARAMETERS, "system/QuestionnaireResponse.s"),
    ("GET", "/fhir/PlanDefinition/x/$apply", None, "system/QuestionnaireResponse.s"),
    ("POST", "/fhir/PlanDefinition/x/$apply", PARAMETERS, "system/QuestionnaireResponse.s"),
    ("GET", "/fhir/AuditEvent", None, "system/AuditEvent.s"),
    ("POST", "/fhir/AuditEvent/_search", None, "system/AuditEvent.s"),
    ("GET", "/fhir/AuditEvent/1", None, "system/AuditEvent.r"),
    ("GET", "/fhir/AuditEvent/1/_history/1", None, "system/AuditEvent.r"),
    ("GET", "/report", None, "system/*.r"),
    ("GET", "/metrics", None, "system/*.r"),
]


def _sent(service: FlaskClient, method: str, address: str, body: Any, headers: Mapping[str, str]) -> TestResponse:
    more = {"json": body} if body is not None else {}
    if address.endswith("_search"):
        more = {"content_type": "application/x-www-form-urlencoded"}
    return service.open(address, method=method, headers=dict(headers), **more)


@pytest.fixture(scope="module", name="tokens")
def _tokens(service: FlaskClient) -> dict[str, dict[str, str]]:
    """For each pair of a type and a letter, a token that reaches it alone, and one for all else."""
    pairs = read_scopes(f"{ALL} system/*.rs")
    alone = {written(frozenset({pair})): written(frozenset({pair})) for pair in pairs}
    without = {f"not {one}": written(_without(*next(iter(read_scopes(one))))) for one in alone}
    return {name: given(service, scope) for name, scope in (alone | without).items()}


def _without(kind: str, letter: str) -> frozenset[tuple[str, str]]:
    pairs = read_scopes(ALL if kind != "*" else f"{ALL} system/*.s")
    return pairs - {(kind, letter), ("*", letter)}


@pytest.mark.parametrize("row", INTERACTIONS, ids=[f"{row[0]} {row[1]}" for row in INTERACTIONS])
def test_an_interaction_is_reached_by_its_scope_and_by_no_other(
    service: FlaskClient, tokens: dict[str, dict[str, str]], row: tuple[str, str, Any, str]
) -> None:
    method, address, body, scope = row
    reached = _sent(service, method, address, body, tokens[scope])
    refused = _sent(service, method, address, body, tokens[f"not {scope}"])

    assert reached.status_code not in (401, 403), reached.text[:300]
    assert "scopes of this access token" in refusal_of(refused, 403)


def test_every_address_that_wants_a_caller_is_in_that_list_but_the_hooks(service: FlaskClient) -> None:
    wants = set()
    for rule in service.application.url_map.iter_rules():
        path = re.sub(r"<\w+>", "x", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if rule.rule != "/auth/token" and _sent(service, method, path, None, {}).status_code == 401:
                wants.add((method, path))
    ids = re.compile(r"/low-back-pain(?=/)|(?<=AuditEvent)/1")
    listed = {(method, ids.sub("/x", path)) for method, path, _, _ in INTERACTIONS}

    assert wants == listed | {("POST", "/cds-services/x"), ("POST", "/cds-services/x/feedback")}


def test_a_conditional_create_wants_to_search_as_well(service: FlaskClient) -> None:
    headers = {"If-None-Exist": "identifier=urn:x|1"}
    refused = _sent(service, "POST", KIND, sound(), headers | given(service, "system/QuestionnaireResponse.cru"))
    reached = _sent(service, "POST", KIND, sound(), headers | given(service, "system/QuestionnaireResponse.cs"))

    refusal_of(refused, 403)
    assert reached.status_code == 201


def test_a_token_opens_no_hook_and_no_feedback(service: FlaskClient) -> None:
    headers = given(service, "system/*.cruds")
    for path in (SERVICE, f"{SERVICE}/feedback"):
        is_refused(ask(service, headers["Authorization"], path))


def test_the_roles_of_the_client_count_beside_the_scopes(served: Deployment, service: FlaskClient) -> None:
    wide = {**CLIENTS, "ehr": CLIENTS["ehr"].model_copy(update={"roles": frozenset({"client"})})}
    headers = given(service, f"{ALL} system/*.rs")
    narrow = create_app(replace(served, clients=wide)).test_client()
    for path in ("/report", "/metrics", "/fhir/AuditEvent"):
        assert service.get(path, headers=headers).status_code == 200
        assert "role" in refusal_of(narrow.get(path, headers=headers), 403)


def test_a_token_shows_its_own_client_only(service: FlaskClient) -> None:
    ours, theirs = given(service), given(service, "system/*.rs", assertion(OTHER, iss=OTHERS_ISSUER))
    ward = given(service, signed=assertion(tenant="hospital-a"))
    path = _sent(service, "POST", KIND, sound(), ours).headers["Location"].removeprefix(PUBLIC)

    assert [service.get(path, headers=one).status_code for one in (ours, theirs, ward)] == [200, 404, 404]


def test_a_token_that_is_damaged_or_somewhere_else_is_refused(service: FlaskClient) -> None:
    shown = given(service)["Authorization"].removeprefix("Bearer ")
    damaged = [shown[:-1] + ("A" if shown[-1] != "A" else "B"), shown[:-1], f"{shown}A", shown.swapcase(), "A" * 43]
    damaged += [f"{shown} ", f" {shown}", f"{shown}, {shown}", f"{shown}=", "", "*", "%", "' OR 1=1 --"]
    for one in damaged:
        is_refused(service.get(KIND, headers={"Authorization": f"Bearer {one}"}))
    for scheme in ("bearer", "Basic", "Token"):
        is_refused(service.get(KIND, headers={"Authorization": f"{scheme} {shown}"}))
    is_refused(service.get(KIND, headers={"X-Authorization": f"Bearer {shown}"}))
    is_refused(service.get(KIND, query_string={"access_token": shown}))
    is_refused(service.post(f"{KIND}/_search", data={"access_token": shown}))
    assert service.get(KIND, headers={"Authorization": f"Bearer {shown}"}).status_code == 200


# ------------------------------------------------------------------------------------------------------ what is kept


@pytest.fixture(name="deployed")
def _deployed(screening: Screening, tmp_path: Path, store: Engine) -> Deployment:
    """A service on each of the two databases."""
    return deployment(screening, store, tmp_path)


def test_a_token_counts_in_every_process_until_it_is_past_and_then_leaves_no_row(
    screening: Screening, tmp_path: Path, database_url: str
) -> None:
    clock, stores = Clock(), [open_store(database_url) for _ in range(2)]  # as two processes open it
    first, second = (create_app(deployment(screening, one, tmp_path, clock)).test_client() for one in stores)
    headers = given(first)

    clock.pass_(seconds=299)
    assert [one.get(KIND, headers=headers).status_code for one in (first, second)] == [200, 200]
    clock.pass_(seconds=1)
    for one in (first, second):
        is_refused(one.get(KIND, headers=headers))
    assert len(kept(stores[0], access_tokens)) == 1
    clock.pass_(seconds=1)
    assert asked(second, assertion(iat=seconds(301), exp=seconds(600))).status_code == 200
    assert len(kept(stores[0], access_tokens)) == 1
    for store in stores:
        store.dispose()


def test_the_database_holds_a_digest_and_no_token(deployed: Deployment) -> None:
    shown = given(create_app(deployed).test_client())["Authorization"].removeprefix("Bearer ")

    (row,) = kept(deployed.store, access_tokens)
    assert shown not in str(row)
    assert (row["client"], read_scopes(row["scopes"])) == ("ehr", read_scopes(ALL))
    assert re.fullmatch("[0-9a-f]{64}", row["digest"])
    is_refused(create_app(deployed).test_client().get(KIND, headers={"Authorization": f"Bearer {row['digest'][:43]}"}))


def test_a_token_that_is_past_is_not_given_out_again_and_is_purged(store: Engine) -> None:
    until = NOW + timedelta(seconds=300)
    give_access(store, "a", "ehr", "system/*.r", until, NOW)
    give_access(store, "b", "ehr hospital-a", "system/*.s", until + timedelta(seconds=1), NOW)

    assert access(store, "a", until - timedelta(milliseconds=1)) == ("ehr", "system/*.r")
    assert access(store, "a", until) is None
    assert access(store, "b", until) == ("ehr hospital-a", "system/*.s")
    assert purge(store, Keep(), until + timedelta(milliseconds=1))["access_tokens"] == 1
    assert len(kept(store, access_tokens)) == 1


# What is agreed by now, and whether a token with all scopes, of a tenant, still reads.
LATER: dict[str, tuple[dict[str, Client], int]] = {
    "the same": (CLIENTS, 200),
    "nothing with this client": ({DEVELOPMENT: Client()}, 401),
    "not this tenant": (CLIENTS | {"ehr": CLIENTS["ehr"].model_copy(update={"tenants": frozenset()})}, 401),
    "other scopes": (CLIENTS | {"ehr": CLIENTS["ehr"].model_copy(update={"scopes": ("system/AuditEvent.rs",)})}, 403),
    "no scopes": (CLIENTS | {"ehr": CLIENTS["ehr"].model_copy(update={"scopes": ()})}, 403),
}


@pytest.mark.parametrize(("clients", "status"), LATER.values(), ids=LATER)
def test_a_token_does_not_outlive_what_was_agreed(
    served: Deployment, service: FlaskClient, clients: dict[str, Client], status: int
) -> None:
    headers = given(service, signed=assertion(tenant="hospital-a"))
    later = create_app(replace(served, clients=clients)).test_client()

    assert later.get(KIND, headers=headers).status_code == status


def test_where_tokens_cannot_be_looked_up_the_caller_is_told_to_come_back(deployed: Deployment) -> None:
    client = create_app(deployed).test_client()
    headers = given(client)
    access_tokens.drop(deployed.store)

    refusal_of(client.get(KIND, headers=headers), 503)
    refusal_of(asked(client), 503)


# ------------------------------------------------------------------------------------------------ once for every call


def counting(served: Deployment) -> tuple[FlaskClient, list[str], list[str]]:
    """The service, the addresses for which somebody was identified, and the owners whose calls were counted."""
    identified: list[str] = []
    admitted: list[str] = []

    def identify(authorization: str | None, url: str, now: datetime) -> str:
        identified.append(url)
        assert served.identify
        return served.identify(authorization, url, now)

    counted = replace(served, identify=identify, admit=lambda owner, _: admitted.append(owner))
    return create_app(counted).test_client(), identified, admitted


def test_a_call_is_checked_and_counted_once_however_often_it_is_asked_who_calls(served: Deployment) -> None:
    client, identified, admitted = counting(served)
    create = {"Authorization": bearer(f"{PUBLIC}{KIND}"), "If-None-Exist": "identifier=urn:x|77"}

    is_accepted(ask(client, bearer()))
    assert client.post(KIND, json=sound(), headers=create).status_code == 201  # asks twice: to create, and to search
    refused = {"Authorization": bearer(f"{PUBLIC}{KIND}"), "Accept": "application/fhir+xml"}
    assert client.post(KIND, json=sound(), headers=refused).status_code in (406, 422)

    assert identified == [f"{PUBLIC}{SERVICE}", f"{PUBLIC}{KIND}", f"{PUBLIC}{KIND}"]
    assert admitted == ["ehr"] * 3


def test_a_call_with_an_access_token_is_counted_once_and_wants_no_signature(served: Deployment) -> None:
    client, identified, admitted = counting(served)
    headers = given(client)
    assert (
        client.post(KIND, json=sound(), headers=headers | {"If-None-Exist": "identifier=urn:x|78"}).status_code == 201
    )

    assert (identified, admitted) == ([TOKEN], ["ehr"] * 2)
