"""cds-service prove: the statements about the rules, proved for every patient that there can be."""

from importlib.util import find_spec

import click

from cds_service.config import load_content, read_settings
from cds_service.errors import SettingsError


@click.command()
def prove() -> None:
    """Prove what must be true of the rules, and print it as a page; a statement that fails shows its patient.

    Ends with 1 where a statement fails. Needs the solver z3, which the service itself does not.
    """
    if find_spec("z3") is None:
        raise SettingsError("prove: needs the solver z3; install it with: pip install 'z3-solver>=4.13'")
    from cds_proof.page import proof_page
    from cds_proof.proof import prove as proved

    failing = 0
    for screening in load_content(read_settings()):
        proofs = list(proved(screening))
        failing += sum(not proof.holds for proof in proofs)
        click.echo(proof_page(screening, proofs), nl=False)
    if failing:
        raise SettingsError(f"prove: {failing} of the statements fail; the page names a patient for each")
