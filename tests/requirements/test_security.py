"""Security: only the clients that were agreed with are answered, each once per token, and nobody learns why not."""

import json
import logging
from base64 import urlsafe_b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from cds_content.screening import Screening
from cds_service.auth import Identify, Reason, authenticator
from cds_service.errors import NotAuthenticated
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.requirements.callers import (
    CLIENTS,
    DISCOVERY,
    FEEDBACK,
    HOOK,
    OTHERS_ISSUER,
    Clock,
    ask,
    bearer,
    identify_in,
    is_accepted,
    is_refused,
    refusals_in,
    service_in,
)
from tests.requirements.requests import valid
from tests.requirements.wrong_tokens import (
    DAMAGED,
    NONES,
    OUR_COPIES,
    SET,
    SIGNATURES,
    WRONG_AUDIENCES,
    WRONG_CLAIMS,
    WRONG_HEADERS,
    WRONG_ISSUERS,
    WRONG_JTIS,
    WRONG_TENANTS,
    WRONG_TIMES,
)
from tests.tokens import (
    EHR,
    EHR_RSA,
    ISSUER,
    NOW,
    OTHER,
    PUBLIC,
    STRANGER,
    Json,
    KeyPair,
    base64url,
    claims,
    header,
    keyed,
    seconds,
    token,
    unsigned,
)
from tests.wire import ABSENT

pytestmark = [
    pytest.mark.timeless,  # the clock of the service is one of the tests
    pytest.mark.filterwarnings("ignore:Key size should be"),  # of the key SHORT: joserfc warns, we refuse
]


@pytest.fixture(scope="module", name="service")
def _service(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "ehr.json").write_text(SET, "utf-8")
    return service_in(screening, folder)


@pytest.fixture(scope="module", name="identify")
def _identify(tmp_path_factory: pytest.TempPathFactory) -> Identify:
    """The authentication alone, where no token counts as used: so a wrong token that is accepted twice shows."""
    folder = tmp_path_factory.mktemp("clients")
    identify_in(folder)
    return authenticator(CLIENTS, folder, lambda *_: True)


# -------------------------------------------------------------------------------------------------------- what is right

RIGHT: dict[str, str] = {
    "ES384": bearer(),
    "RS384": bearer(key=EHR_RSA),
    "the URL in an array": bearer([HOOK]),
    "the URL among others": bearer(["https://elsewhere.example", HOOK]),
    "sub, and nbf 5 minutes before iat, as Epic sends": bearer(sub="client-id", nbf=seconds(-300)),
    "issued 20 s ahead of our clock": bearer(iat=seconds(20), exp=seconds(320)),
    "issued 60 s ahead, the most that clocks may differ": bearer(iat=seconds(60), nbf=seconds(60)),
    "expired 59 s ago, which may be our clock": bearer(iat=seconds(-359), exp=seconds(-59)),
    "living for 300 s from 60 s ahead": bearer(iat=seconds(60), exp=seconds(360)),
    "living for an hour, as was agreed with this client": bearer(key=OTHER, iss=OTHERS_ISSUER, exp=seconds(3600)),
    "times with fractions of a second": bearer(iat=seconds() + 0.48, exp=seconds(300) + 0.48),
    "a tenant of the client": bearer(tenant="hospital-a"),
    "claims and members that nobody knows": bearer(head={"x5t": "abc", "ours": {"a": [1]}}, roles=["a"]),
    "a header of 2 KB": bearer(head={"ours": "x" * 1_500}),
    "a jti of 255 characters": bearer(jti="j" * 255),
    "another client, with its own key": bearer(key=OTHER, iss=OTHERS_ISSUER),
}


@pytest.mark.requirement("SEC-1", "SEC-5", "SEC-6", "SEC-7", "SEC-11", "SEC-15")
@pytest.mark.parametrize("authorization", RIGHT.values(), ids=RIGHT)
def test_a_right_token_is_accepted(service: FlaskClient, authorization: str) -> None:
    is_accepted(ask(service, authorization))


ANYTHING: dict[str, str | None] = {
    "none": None,
    "an empty one": "",
    "the scheme alone": "Bearer",
    "no token": "Bearer x.y.z",
    "a password": "Basic dXNlcjpwYXNz",
    "a right token": bearer(),
    "a wrong signature": bearer(key=STRANGER),
}


@pytest.mark.requirement("SEC-2")
@pytest.mark.parametrize("authorization", ANYTHING.values(), ids=ANYTHING)
def test_in_development_mode_any_authorization_header_is_answered(
    screening: Screening, tmp_path: Path, authorization: str | None
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    client = create_app(Deployment((screening,), store, PUBLIC, development=True)).test_client()

    is_accepted(ask(client, authorization))


@pytest.mark.requirement("DISC-11")
def test_discovery_is_the_same_each_time_and_open_to_everybody(service: FlaskClient) -> None:
    answers = [
        service.get("/cds-services", headers=headers)
        for headers in ({}, {}, {"Authorization": bearer(DISCOVERY)}, {"Authorization": "Bearer x.y.z"})
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.get_data() for answer in answers}) == 1


@pytest.mark.requirement("DISC-11", "SEC-6")
def test_where_discovery_is_protected_its_token_is_for_the_url_of_discovery(identify: Identify) -> None:
    assert identify(bearer(DISCOVERY), DISCOVERY, NOW) == "ehr"
    with pytest.raises(NotAuthenticated):
        identify(bearer(HOOK), DISCOVERY, NOW)


@pytest.mark.requirement("FB-11", "SEC-1", "SEC-6")
def test_feedback_wants_a_token_for_the_address_of_the_feedback(service: FlaskClient) -> None:
    (card,) = ask(service, bearer()).get_json()["cards"]
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": NOW.isoformat()}
    path, body = f"{SERVICE}/feedback", {"feedback": [entry]}

    is_refused(ask(service, None, path, json=body))
    is_refused(ask(service, bearer(HOOK), path, json=body))
    assert ask(service, bearer(FEEDBACK), path, json=body).status_code == 200
    is_refused(ask(service, bearer(FEEDBACK)))


# -------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.requirement("SEC-8")
@pytest.mark.parametrize("alg", NONES)
def test_a_token_that_is_not_signed_is_refused_however_none_is_spelt(service: FlaskClient, alg: str) -> None:
    text = unsigned(header(alg=alg), claims(HOOK))
    for signature in ("", ".", ".AA", f".{base64url(EHR.sign(text.encode()))}"):
        is_refused(ask(service, f"Bearer {text}{signature}"))


@pytest.mark.requirement("SEC-9")
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("secret", OUR_COPIES.values(), ids=OUR_COPIES)
def test_a_token_keyed_with_our_copy_of_the_public_key_is_refused(
    service: FlaskClient, secret: bytes, alg: str
) -> None:
    for key in (EHR, EHR_RSA):
        is_refused(ask(service, f"Bearer {keyed(header(key, alg=alg), claims(HOOK), secret)}"))


@pytest.mark.requirement("SEC-4", "SEC-5", "SEC-9", "SEC-11")
@pytest.mark.parametrize("authorization", SIGNATURES.values(), ids=SIGNATURES)
def test_only_es384_and_rs384_by_a_signing_key_of_the_client_count(service: FlaskClient, authorization: str) -> None:
    is_refused(ask(service, authorization))


@pytest.mark.requirement("SEC-4")
@pytest.mark.parametrize("key", [EHR, EHR_RSA], ids=["ES384", "RS384"])
def test_a_change_after_the_signature_is_refused(service: FlaskClient, key: KeyPair) -> None:
    first, second, signature = token(header(key), claims(HOOK), key).split(".")
    others = token(header(key), claims(HOOK), key).split(".")[2]
    changed = {
        "header": (base64url(json.dumps(header(key) | {"ours": 1}).encode()), second, signature),
        "claims": (first, base64url(json.dumps(claims(HOOK)).encode()), signature),
        "signature of another token": (first, second, others),
        "first bit": (first, second, _flipped(signature, 0)),
        "last bit": (first, second, _flipped(signature, -1)),
        "shorter": (first, second, signature[:-4]),
        "longer": (first, second, f"{signature}AAAA"),
        "twice": (first, second, signature * 2),
        "none": (first, second, ""),
        "of no claims": (first, base64url(b"{}"), signature),
    }
    for parts in changed.values():
        is_refused(ask(service, f"Bearer {'.'.join(parts)}"))


def _flipped(signature: str, at: int) -> str:
    data = bytearray(urlsafe_b64decode(f"{signature}=="))
    data[at] ^= 1
    return base64url(bytes(data))


@pytest.mark.requirement("SEC-3", "SEC-5", "SEC-9")
@pytest.mark.parametrize("changed", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_a_header_other_than_agreed_is_refused(service: FlaskClient, changed: Json) -> None:
    is_refused(ask(service, bearer(head=changed)))


@pytest.mark.requirement("SEC-9")
def test_a_key_that_a_token_brings_along_is_not_used(service: FlaskClient) -> None:
    for head in (
        {"jwk": STRANGER.jwk()},
        {"jwk": STRANGER.jwk(), "kid": ABSENT},
        {"jwk": STRANGER.jwk(), "kid": "own"},
    ):
        is_refused(ask(service, bearer(key=STRANGER, head=head)))


@pytest.mark.requirement("SEC-5")
@pytest.mark.parametrize("changed", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_a_claim_that_is_missing_or_of_another_type_is_refused(service: FlaskClient, changed: Json) -> None:
    is_refused(ask(service, bearer(**changed)))


@pytest.mark.requirement("SEC-5")
@pytest.mark.parametrize("changed", WRONG_ISSUERS.values(), ids=WRONG_ISSUERS)
def test_an_issuer_that_was_not_agreed_is_refused(service: FlaskClient, changed: Json) -> None:
    is_refused(ask(service, bearer(**changed)))


@pytest.mark.requirement("SEC-7")
@pytest.mark.parametrize("changed", WRONG_TIMES.values(), ids=WRONG_TIMES)
def test_a_token_of_another_time_is_refused(service: FlaskClient, changed: Json) -> None:
    is_refused(ask(service, bearer(key=OTHER if "iss" in changed else EHR, **changed)))


@pytest.mark.requirement("SEC-15")
@pytest.mark.parametrize("changed", WRONG_TENANTS.values(), ids=WRONG_TENANTS)
def test_a_tenant_that_was_not_agreed_is_refused(service: FlaskClient, changed: Json) -> None:
    is_refused(ask(service, bearer(key=OTHER if "iss" in changed else EHR, **changed)))


@pytest.mark.requirement("SEC-10")
@pytest.mark.parametrize("changed", WRONG_JTIS.values(), ids=WRONG_JTIS)
def test_a_jti_that_cannot_be_remembered_is_refused(service: FlaskClient, changed: Json) -> None:
    is_refused(ask(service, bearer(**changed)))


@pytest.mark.requirement("SEC-6")
@pytest.mark.parametrize("aud", WRONG_AUDIENCES.values(), ids=WRONG_AUDIENCES)
def test_a_token_for_another_address_is_refused(service: FlaskClient, aud: Any) -> None:
    is_refused(ask(service, bearer(aud)))


@pytest.mark.requirement("SEC-6")
@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "Forwarded", "X-Original-URL"])
def test_the_address_is_the_configured_one_whatever_the_request_says(service: FlaskClient, name: str) -> None:
    told = {"Forwarded": "host=evil.example"}.get(name, "evil.example")
    theirs = HOOK.replace("cds.example.org", "evil.example")

    is_refused(ask(service, None, headers={"Authorization": bearer(theirs), name: told}))
    is_accepted(ask(service, None, headers={"Authorization": bearer(), name: told}))


@pytest.mark.requirement("SEC-1", "SEC-5", "SEC-12")
@pytest.mark.parametrize("authorization", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_token_is_refused(service: FlaskClient, authorization: str) -> None:
    is_refused(ask(service, authorization))


@pytest.mark.requirement("SEC-1")
def test_a_token_counts_in_the_authorization_header_only(service: FlaskClient) -> None:
    bare = token(header(), claims(HOOK))
    is_refused(ask(service, None))
    for name in ("X-Authorization", "Proxy-Authorization", "Authentication", "X-Access-Token"):
        is_refused(ask(service, None, headers={name: f"Bearer {bare}"}))
    for name in ("access_token", "token", "jwt", "Authorization"):
        is_refused(ask(service, None, query_string={name: bare}))
        is_refused(ask(service, None, json=valid("patient-view") | {name: bare}))
        service.set_cookie(name, bare)
        is_refused(ask(service, None))
        service.delete_cookie(name)
    is_accepted(ask(service, f"Bearer {bare}"))


@pytest.mark.requirement("SEC-12", "HTTP-1")
def test_every_refusal_is_the_same_to_the_byte(service: FlaskClient) -> None:
    wrong = [
        *(bearer(aud) for aud in WRONG_AUDIENCES.values()),
        *(bearer(head=changed) for changed in WRONG_HEADERS.values()),
        *(bearer(**changed) for changed in (WRONG_CLAIMS | WRONG_ISSUERS | WRONG_TIMES).values()),
        *DAMAGED.values(),
        *SIGNATURES.values(),
    ]
    answers = [ask(service, one) for one in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.get_data() for answer in answers}) == 1
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == len(answers)
    headers = [{name: value for name, value in answer.headers.items() if name != "X-Request-ID"} for answer in answers]
    assert [one for one in headers if one != headers[0]] == []


@pytest.mark.requirement("SEC-4", "SEC-12")
@pytest.mark.parametrize("authorization", [None, bearer(key=STRANGER)], ids=["no token", "wrong signature"])
def test_who_is_not_authenticated_learns_nothing_about_the_body(
    service: FlaskClient, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for body in (b"{", b"null", b'{"a":' * 9_000, b" " * 2_000_000):
        is_refused(service.post(SERVICE, data=body, headers=headers, content_type="application/json"))
    is_refused(service.post(SERVICE, data=b"a=b", headers=headers, content_type="text/plain"))
    assert ask(service, bearer(), json=[]).status_code == 400


# ------------------------------------------------------------------------------------------------------- once per token


@pytest.mark.requirement("SEC-10")
def test_a_token_is_accepted_once(service: FlaskClient) -> None:
    authorization = bearer()
    is_accepted(ask(service, authorization))
    is_refused(ask(service, authorization))
    is_refused(ask(service, f"{authorization}="))


@pytest.mark.requirement("SEC-10")
def test_a_jti_is_accepted_once_however_it_is_signed_again(service: FlaskClient) -> None:
    is_accepted(ask(service, bearer(jti="once")))
    is_refused(ask(service, bearer(jti="once")))
    is_refused(ask(service, bearer(jti="once", key=EHR_RSA)))
    is_refused(ask(service, bearer(jti="once", exp=seconds(290), tenant="hospital-a")))


@pytest.mark.requirement("SEC-10")
def test_two_clients_may_use_the_same_jti(service: FlaskClient) -> None:
    is_accepted(ask(service, bearer(jti="of-both")))
    is_accepted(ask(service, bearer(jti="of-both", key=OTHER, iss=OTHERS_ISSUER)))


@pytest.mark.requirement("SEC-10")
def test_a_token_that_is_refused_uses_no_jti_up(service: FlaskClient) -> None:
    is_refused(ask(service, bearer(jti="kept", key=STRANGER)))
    is_refused(ask(service, bearer(jti="kept", head={"kid": "ehr-9"})))
    for changed in ({"exp": seconds(-600)}, {"aud": DISCOVERY}, {"tenant": "hospital-b"}):
        is_refused(ask(service, bearer(jti="kept", **changed)))
    is_accepted(ask(service, bearer(jti="kept")))


@pytest.mark.requirement("SEC-10")
def test_a_jti_is_remembered_as_long_as_its_token_would_be_accepted(screening: Screening, tmp_path: Path) -> None:
    clock = Clock()
    client = service_in(screening, tmp_path, clock)
    used, unused = bearer(exp=seconds(300)), bearer(exp=seconds(300))
    is_accepted(ask(client, used))

    clock.now += timedelta(seconds=359)
    is_accepted(ask(client, bearer(iat=seconds(359), exp=seconds(600))))
    is_refused(ask(client, used))
    is_accepted(ask(client, unused))


# --------------------------------------------------------------------------------------- what is written down, and fuzz


@pytest.mark.requirement("SEC-13")
def test_neither_log_nor_database_holds_a_token(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = service_in(screening, tmp_path)
    sent = [
        bearer(tenant="hospital-a", sub="sub-7d1f"),
        bearer(key=STRANGER, jti="jti-7d1f"),
        bearer(tenant="tenant-7d1f"),
    ]
    with caplog.at_level(logging.DEBUG):
        statuses = [ask(client, one).status_code for one in (*sent, sent[0])]

    assert statuses == [200, 401, 401, 401]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("store.sqlite"))
    written = caplog.text.encode() + kept
    parts = [part for one in sent for part in one.removeprefix("Bearer ").split(".")]
    assert [part for part in (*parts, "sub-7d1f", "tenant-7d1f") if part.encode() in written] == []
    assert caplog.text.count("not authenticated") == 3, "each refusal is told to the operator"


@pytest.mark.requirement("SEC-12")
def test_the_log_says_which_client_was_refused_and_why(service: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    wrong: list[Json] = [{"exp": seconds(-600)}, {"jti": ABSENT}, {"iss": "https://nobody.example"}]
    for changed in wrong:
        is_refused(ask(service, bearer(**changed)))
    assert refusals_in(caplog) == [("ehr", "expired"), ("unknown", "jti"), ("unknown", "unknown-iss")]


@pytest.mark.requirement("SEC-12")
def test_each_kind_of_wrong_token_has_its_own_reason_in_the_log(
    service: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    for wrong, reason in REASONS.items():
        caplog.clear()
        is_refused(ask(service, wrong))
        assert [said for _, said in refusals_in(caplog)] == [reason]
    assert {*REASONS.values(), *ONLY_ELSEWHERE} == {one for part in get_args(Reason) for one in get_args(part)}


REASONS: dict[str, str] = {
    "": "no-token",
    "Bearer a.b.c": "damaged",
    bearer(head={"jwk": EHR.jwk()}): "own-key",
    **{bearer(head={name: ABSENT}): name for name in ("alg", "typ", "kid")},
    bearer(head={"jku": 1}): "jku",
    **{bearer(**WRONG_CLAIMS[f"no {name}"]): name for name in ("iss", "aud", "exp", "iat", "jti")},
    bearer(nbf=None): "nbf",
    bearer(tenant=1): "tenant",
    bearer(iss="https://nobody.example"): "unknown-iss",
    bearer(DISCOVERY): "other-aud",
    bearer(tenant="hospital-b"): "unknown-tenant",
    bearer(exp=seconds(-60), iat=seconds(-300)): "expired",
    bearer(iat=seconds(61)): "not-yet",
    bearer(exp=seconds(900)): "lifetime",
    bearer(head={"jku": "https://ehr.example/jwks.json"}): "other-jku",
    bearer(head={"kid": "ehr-9"}): "unknown-kid",
    bearer(key=STRANGER): "signature",
}
ONLY_ELSEWHERE = {"used", "other-sub", "access-token"}  # of a second use, of assertions, of access tokens


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """A valid Authorization header in which one to three places were replaced, deleted, doubled or swapped."""
    text = bearer(key=draw(st.sampled_from([EHR, EHR_RSA])))
    changed = text
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(changed) - 1))
        end = draw(st.integers(start, min(start + 4, len(changed))))
        written = st.text("ABab01-_.= +/\n\x00é", max_size=3) | st.just(changed[start:end][::-1] * 2)
        changed = changed[:start] + draw(written) + changed[end:]
    assume(changed != text)
    return changed


@pytest.mark.requirement("SEC-4", "SEC-5")
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(authorization=_mutated())
@example(authorization=f"{bearer()}\n")
def test_no_mutation_of_a_valid_token_is_accepted(identify: Identify, authorization: str) -> None:
    with pytest.raises(NotAuthenticated):
        identify(authorization, HOOK, NOW)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OPTIONAL = ("jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty", "crit", "b64", "zip", "nbf", "tenant", "sub")
NAMES = (*header(), *claims(HOOK), *OPTIONAL)


@pytest.mark.requirement("SEC-5", "SEC-7")
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), value=ANY, where=st.sampled_from(["head", "claims", "both"]))
def test_whatever_a_signed_token_holds_it_is_accepted_or_refused_and_never_an_error(
    identify: Identify, name: str, value: Any, where: str
) -> None:
    head = header() | ({} if where == "claims" else {name: value})
    body = claims(HOOK) | ({} if where == "head" else {name: value})
    try:
        accepted = identify(f"Bearer {token(head, body)}", HOOK, NOW)
    except NotAuthenticated:
        return
    assert accepted == "ehr"
    assert (head["alg"], head["kid"], body["iss"], body["aud"]) == ("ES384", EHR.kid, ISSUER, HOOK)
    assert not {"jwk", "x5u", "x5c", "crit"} & head.keys()
