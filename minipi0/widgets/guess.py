"""Predict first: a question that keeps the reader's guess (all notebooks)."""

import traitlets

from minipi0.widgets.base import Canvas, browser_code


class Guess(Canvas):
    """Ask the reader for a guess before the answer is shown; the next cell has the answer.

    JupyterLab covers that answer until there is a guess, or until the reader asks for it.

    `Guess("Where does one Euler step end?", ["on the ring", "in the middle"])`, or, for a number,
    `Guess("How far from its end?", unit="cm")`.

    Traits: question, choices, unit to read; guess to read and to set: one of the choices, or a
    number as text; "" until the reader has guessed. The browser keeps a guess over a reload.

    Raises traitlets.TraitError for another guess, ValueError for no question or a single choice.
    """

    _esm = browser_code("guess.js")
    question = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode()).tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    guess = traitlets.Unicode("").tag(sync=True)

    def __init__(self, question: str, choices=(), unit: str = "", guess: str = ""):
        """choices: texts to choose from; none: the guess is a number, in `unit`."""
        choices = list(choices)
        if not question.strip():
            raise ValueError('ask something: Guess("How many steps does it need?", unit="steps")')
        if len(set(choices)) != len(choices) or len(choices) == 1:
            raise ValueError(f"the choices must be two or more different texts, not {choices}")
        super().__init__(question=question, choices=choices, unit=unit, guess=guess)

    @traitlets.validate("guess")
    def _sayable(self, proposal):
        guess = proposal["value"]
        if guess and self.choices and guess not in self.choices:
            raise traitlets.TraitError(f"the guess is one of {self.choices}, not {guess!r}")
        if guess and not self.choices:
            try:
                float(guess)
            except ValueError:
                raise traitlets.TraitError(f"the guess must be a number, not {guess!r}") from None
        return guess

    def __repr__(self) -> str:
        choices = "".join(f"\n- {choice}" for choice in self.choices)
        return f"Predict first: {self.question}{choices}"
