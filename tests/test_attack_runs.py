"""The attacks on runs, in their short form; ``scripts/attack_runs.py`` makes them at length."""

import attack_runs
import pytest


@pytest.mark.parametrize(
    "attack", [["bits", "--bits=37"], ["changes", "--changes=50"], ["starts", "--starts=2"]], ids=lambda a: a[0]
)
def test_nothing_is_lost(attack, capsys, monkeypatch):
    monkeypatch.setattr(attack_runs, "STATEFUL", {"plain": attack_runs.STATEFUL["plain"]})
    kind, amount = attack
    assert attack_runs.main(["--only", kind, amount]) == 0, capsys.readouterr().out


def test_what_is_lost_is_counted(capsys, monkeypatch):
    monkeypatch.setattr(attack_runs, "held", lambda path: path.read_bytes())
    assert attack_runs.main(["--only=bits", "--bits=1000"]) == 1
    assert "SILENTLY WRONG" in capsys.readouterr().out
