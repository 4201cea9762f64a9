"""What the tests of the exercises' checks share."""

from minipi0.exercises import check


def refused(capsys, number, answer, words) -> None:
    """An answer is judged wrong, and these words say why."""
    capsys.readouterr()  # what an earlier check said
    assert not check(number, answer)
    said = capsys.readouterr().out
    assert said.startswith("✗") and words in said, said
