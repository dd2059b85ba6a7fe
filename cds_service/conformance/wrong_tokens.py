"""What stands in the Authorization header of calls that a service must refuse."""

from cds_service.conformance import signing
from cds_service.conformance.asking import Target

UNASKED = "a token that nobody asked for"
USED = "a token that was used before"
FRESH = "a token"
NONE = "no token"
_CHANGED = "a changed token"
_UNSIGNED = "a token that is not signed"
_KEYED = "a token signed with the public key"
_ELSEWHERE = "a token for another address"
_EXPIRED = "an expired token"
_WITHOUT = {f"a token without {name}": name for name in signing.CLAIMS}
TOKENS = frozenset((UNASKED, USED, FRESH, NONE, _CHANGED, _UNSIGNED, _KEYED, _ELSEWHERE, _EXPIRED, *_WITHOUT))


def wrong_tokens(target: Target, url: str) -> dict[str, str | None]:
    """The tokens by what is wrong with them, None for no header; of USED the one before it is right.

    Where calls do not say who makes them, it is a token that the service has no use for.
    """
    if not target.authenticates:
        return {UNASKED: "conformance"}
    if target.signer is None:
        return {NONE: None, _CHANGED: signing.changed(target.token)}
    return {NONE: None} | _signed(target.signer, target.known_as(url))


def _signed(signer: signing.Signer, url: str) -> dict[str, str | None]:
    once = signer.sign(url)
    return {
        _CHANGED: signing.changed(signer.sign(url)),
        _UNSIGNED: signing.unsigned(signer, url),
        _KEYED: signing.keyed(signer, url),
        _ELSEWHERE: signer.sign(f"{url}-elsewhere"),
        _EXPIRED: signing.expired(signer, url),
        **{name: signer.sign(url, **{claim: None}) for name, claim in _WITHOUT.items()},
        FRESH: once,
        USED: once,
    }
