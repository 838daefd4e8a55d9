"""The test that ``pytest --pyargs mlp.grading --submission PATH`` runs for every component of a submission."""

from mlp.grading.verdict import Verdict


def test_component(verdict: Verdict) -> None:
    """Passed, or the message to the student."""
    assert verdict, f"\n{verdict.message}"
