"""The twenty questions that readers ask most, for the index page."""

# (the question, its answer in one sentence, notebook, id of the cell that measures it)
QUESTIONS: list[tuple[str, str, str, str]] = []
