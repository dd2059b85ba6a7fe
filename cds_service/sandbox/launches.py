"""The authorization server of the sandbox: a SMART launch of the form, approved at once, with PKCE.

Sources: SMART App Launch 2.2; RFC 6749, 4.1; RFC 7636.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from threading import Lock
from typing import TypeVar
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

from cds_content.shapes import Json
from cds_service.clients import FORM_CLIENT
from cds_service.errors import BadRequest
from cds_service.sandbox.tokens import Grants, Signer

_CODES = timedelta(minutes=1)
_LAUNCHES = timedelta(minutes=10)
_TOKENS = timedelta(hours=1)
_MOST = 500  # launches, and codes, that wait
_KNOWN = re.compile(r"launch(/patient)?|openid|fhirUser|patient/([A-Za-z]+|\*)\.([cruds]+|read|write|\*)")


class Refused(Exception):
    """`error` is a code of RFC 6749, 4.1.2.1 or 5.2; the text says what to write instead."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


@dataclass(frozen=True)
class _Launch:
    patient: str
    user: str
    app_context: str
    until: datetime


@dataclass(frozen=True)
class _Code:
    launch: _Launch
    challenge: str
    scope: str
    until: datetime


_Waiting = TypeVar("_Waiting", _Launch, _Code)


class Launches:
    """What was begun and not yet finished. Safe for threads."""

    def __init__(self, public: str, grants: Grants, signer: Signer) -> None:
        self.base, self.redirect = f"{public}/sandbox/fhir", f"{public}/form/callback"
        self._grants, self._signer = grants, signer
        self._launches: dict[str, _Launch] = {}
        self._codes: dict[str, _Code] = {}
        self._lock = Lock()

    def begin(self, patient: str, user: str, url: str, app_context: str, now: datetime) -> str:
        """Where the browser goes: the app's own address, with what it needs to ask for a token.

        Raises BadRequest for what is no address on the web.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadRequest("the link of the card is no http or https address; it is not followed")
        token = token_urlsafe(24)
        with self._lock:
            _room(self._launches)[token] = _Launch(patient, user, app_context, now + _LAUNCHES)
        pairs = [one for one in parts.query.split("&") if one and not _is_ours(one)]
        query = "&".join([*pairs, urlencode({"iss": self.base, "launch": token})])
        return urlunsplit(parts._replace(query=query))

    def authorize(self, asked: Mapping[str, str], first: tuple[str, str], now: datetime) -> str:
        """Where the browser goes back to, with a code. `first` are patient and user of a launch from outside.

        Raises BadRequest where nobody may be sent back; a refusal otherwise stands in the address.
        """
        if asked.get("client_id") != FORM_CLIENT or asked.get("redirect_uri") != self.redirect:
            raise BadRequest(f"client_id, redirect_uri: not known; write {FORM_CLIENT} and its address {self.redirect}")
        try:
            said = {"code": self._code(asked, first, now)}
        except Refused as refused:
            said = {"error": refused.error, "error_description": str(refused)}
        return f"{self.redirect}?{urlencode(said | {'state': asked.get('state', '')})}"

    def exchange(self, form: Mapping[str, str], now: datetime) -> Json:
        """The token response for a code, which is good once. Raises Refused."""
        if form.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type", "write authorization_code")
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.until <= now or form.get("redirect_uri") != self.redirect:
            raise Refused("invalid_grant", "the code is not known, used or too old, or redirect_uri is another")
        if form.get("client_id") != FORM_CLIENT:
            raise Refused("invalid_client", f"write {FORM_CLIENT}")
        if not hmac.compare_digest(_challenge(form.get("code_verifier", "")), code.challenge):
            raise Refused("invalid_grant", "code_verifier does not belong to the code_challenge")
        return self._given(code, now)

    def forget(self) -> None:
        with self._lock:
            self._launches.clear()
            self._codes.clear()

    def _code(self, asked: Mapping[str, str], first: tuple[str, str], now: datetime) -> str:
        _check(asked, self.base)
        with self._lock:
            begun = (
                self._launches.pop(asked["launch"], None) if "launch" in asked else _Launch(*first, "", now + _CODES)
            )
            if begun is None or begun.until <= now:
                raise Refused("invalid_request", "launch is not known, used or too old, open the app from the chart")
            scope = " ".join(one for one in asked.get("scope", "").split() if _KNOWN.fullmatch(one))
            code = token_urlsafe(32)
            _room(self._codes)[code] = _Code(begun, asked["code_challenge"], scope, now + _CODES)
            return code

    def _given(self, code: _Code, now: datetime) -> Json:
        launch = code.launch
        token, _ = self._grants.give(launch.patient, code.scope, now + _TOKENS)
        given = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(_TOKENS.total_seconds()),
            "scope": code.scope,
            "patient": launch.patient,
            "need_patient_banner": True,
        }
        if "openid" in code.scope.split():
            claims = {
                "iss": self.base,
                "sub": launch.user,
                "aud": FORM_CLIENT,
                "fhirUser": f"{self.base}/{launch.user}",
            }
            given["id_token"] = self._signer.sign(claims, now)
        return given | ({"appContext": launch.app_context} if launch.app_context else {})


def _is_ours(pair: str) -> bool:
    """Whether this part of a query says what only the launch itself says. All others stay as they were written."""
    return unquote_plus(pair.partition("=")[0]) in ("iss", "launch")


def _check(asked: Mapping[str, str], base: str) -> None:
    """Raises Refused for a request that SMART does not allow."""
    if asked.get("response_type") != "code":
        raise Refused("unsupported_response_type", "write code")
    if not asked.get("state"):
        raise Refused("invalid_request", "state is missing")
    if asked.get("aud", "").removesuffix("/") != base:
        raise Refused("invalid_request", "aud is not the FHIR server of this authorization server")
    if asked.get("code_challenge_method") != "S256" or not re.fullmatch(r"[\w-]{43}", asked.get("code_challenge", "")):
        raise Refused("invalid_request", "code_challenge is missing, or its method is not S256")


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _room(waiting: dict[str, _Waiting]) -> dict[str, _Waiting]:
    """Without the oldest, so that there is room for one more."""
    while len(waiting) >= _MOST:
        del waiting[next(iter(waiting))]
    return waiting
