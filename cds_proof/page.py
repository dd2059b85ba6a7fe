"""The proof of a screening on one page, in both languages, for a clinician to read."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES
from cds_content.translations import texts
from cds_proof.proof import Proof

_NOBODY = {"nl": "er is geen zo'n patiënt", "en": "there is no such patient"}


def proof_page(screening: Screening, proofs: Sequence[Proof]) -> str:
    """The page in Markdown: what was put to the solver, what it found, and what is not proved."""
    template = Path(__file__).with_name("page.md.jinja").read_text("utf-8")
    form = screening.questionnaire
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, autoescape=False)  # noqa: S701 - Markdown
    return page.from_string(template).render(
        screening=screening,
        title=texts(form, "title", form["language"]),
        proofs=proofs,
        failing=[proof for proof in proofs if not proof.holds],
        languages=LANGUAGES,
        nobody=_NOBODY,
    )
