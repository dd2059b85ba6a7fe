"""SMART scopes: what an access token reaches, as pairs of a type of resource and one of the letters c, r, u, d, s.

Only those of a system are there, without a search part: `system/QuestionnaireResponse.cruds`, `system/*.rs`.
Source: SMART App Launch 2.2, "Scopes and Launch Context".
"""

import re
from collections.abc import Mapping
from itertools import product

LETTERS = "cruds"  # create, read, update, delete, search: in this order in every scope
SUPPORTED: Mapping[str, str] = {"AuditEvent": "rs", "Questionnaire": "rs", "QuestionnaireResponse": "cruds", "*": "rs"}
PATTERN = r"^system/(\*|[A-Z][A-Za-z]{0,63})\.(?=[cruds])(c?r?u?d?s?)$"
_SCOPE = re.compile(PATTERN, re.ASCII)

Scopes = frozenset[tuple[str, str]]  # type of resource, or * for any; letter


def read_scopes(text: str) -> Scopes:
    """The scopes of a text that has blanks between them. Raises ValueError for one that is none of a system."""
    matches = [_SCOPE.fullmatch(one) for one in text.split(" ") if one]
    if not all(matches):
        raise ValueError("is no scope of a system; write such as system/QuestionnaireResponse.cruds or system/*.rs")
    return frozenset((match[1], letter) for match in matches if match for letter in match[2])


def written(scopes: Scopes) -> str:
    """The scopes as text: one for each type, in alphabetical order."""
    kinds = sorted({kind for kind, _ in scopes})
    letters = {kind: "".join(one for one in LETTERS if (kind, one) in scopes) for kind in kinds}
    return " ".join(f"system/{kind}.{letters[kind]}" for kind in kinds)


def granted(asked: Scopes, agreed: Scopes) -> Scopes:
    """What was asked for and agreed as well: never more than either."""
    pairs = [(one, other) for one, other in product(asked, agreed) if one[1] == other[1]]
    return frozenset(
        (other[0] if one[0] == "*" else one[0], one[1])
        for one, other in pairs
        if "*" in (one[0], other[0]) or one[0] == other[0]
    )


def reaches(scopes: Scopes, needs: str) -> bool:
    """Whether the scopes reach an interaction, written as type and letter: `QuestionnaireResponse.c`, `*.r`."""
    kind, _, letter = needs.partition(".")
    return bool({(kind, letter), ("*", letter)} & scopes)
