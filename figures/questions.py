"""The questions that readers ask most, for the index page: each is answered by a number.

The number is not written here. It is read from the notebook's stored outputs, so that the page says
what the notebook measured; a test tells when a pattern no longer finds its number.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A question, and where its number is.

    asked: the question. notebook: its file's stem begins with this.
    pattern: a regular expression; the first cell in whose text it matches has the answer.
    answer: one sentence, with {0}, {1}, … for the pattern's groups.
    plain: the sentence for numbers that are all 0, or all the same.
    """

    asked: str
    notebook: str
    pattern: str
    answer: str
    plain: str = ""

    def found(self, cells: dict[str, str]) -> tuple[str, str] | None:
        """The cell's id and the answer, or None where no cell matches.

        cells: {id: the texts of its source and outputs}.
        """
        for name, text in cells.items():
            if match := re.search(self.pattern, text):
                numbers = [spoken(number) for number in match.groups()]
                return name, self.sentence(numbers).format(*numbers)
        return None

    def sentence(self, numbers: list[str]) -> str:
        """The answer, or the plain one where the numbers say nothing more."""
        nothing = all(re.fullmatch(r"0(\.0*)?", number) for number in numbers)
        alike = len(numbers) > 1 and len(set(numbers)) == 1
        return self.plain if self.plain and (nothing or alike) else self.answer


def spoken(number: str) -> str:
    """A printed number as a text has it: 52 % for 52%, 10⁻⁶ for 1e-06, − for a minus sign."""
    number = re.sub(r"(?<=\d)%", " %", number)
    number = re.sub(r"\b0(\.0*)?e[-+]\d+", "0", number)
    number = re.sub(r"\b1(\.0*)?e([-+]\d+)", lambda e: "10" + raised(int(e[2])), number)
    number = re.sub(
        r"(?<=\d)e([-+]\d+)", lambda e: " · 10" + raised(int(e[1])) if int(e[1]) else "", number
    )
    return re.sub(r"(?<![\w.])-(?=\d)", "−", number)


def raised(power: int) -> str:
    """A power of ten as a superscript: ⁻⁶ for -6."""
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


NUMBER = r"([-+\d.,e]*\d)"
TIMES = r"\s+([\d.,]+ [TG]?FLOP)"
QUESTIONS = [
    Question(
        "Why is t = 1 noise in the code, when the paper says τ = 0 is?",
        "12",
        rf"float64:\s+largest \|v \+ u\| {NUMBER}",
        "It is a convention, t = 1 − τ with the opposite sign: their velocity and ours add up to "
        "0, to within {0}.",
        plain="It is a convention, t = 1 − τ with the opposite sign: their velocity and ours add "
        "up to exactly 0.",
    ),
    Question(
        "Is the sign of the target right: A − ε, or ε − A?",
        "01",
        rf"largest \|d A\^tau / d tau - \(A - eps\)\|.*: {NUMBER}",
        "A − ε, with the paper's path: it is the path's own derivative, to within {0}.",
        plain="A − ε, with the paper's path: it is exactly the path's own derivative.",
    ),
    Question(
        "Is the path really just a straight line?",
        "04",
        rf"independent pairs\s+bentness {NUMBER}",
        "The path of each training pair is. The paths of samples bend: bentness {0}, where a "
        "straight path has 0.",
    ),
    Question(
        "Why do action tokens attend to later actions?",
        "05",
        rf"all actions\s+{NUMBER}[^\n]*\n\s*itself and earlier\s+{NUMBER}",
        "They are all noisy at first, and cleaned together: the best possible error is {0} with "
        "all actions, {1} with earlier ones only.",
    ),
    Question(
        "If training sees one τ per sample, why ten steps at inference?",
        "03",
        rf"\b1 steps: collisions\s+{NUMBER}[\s\S]*?\b10 steps: collisions\s+{NUMBER}",
        "The network learns the mean arrow of every place and moment, and the path bends: {0} % of "
        "the samples collide after one step, {1} % after ten.",
    ),
    Question(
        "Why not one step?",
        "04",
        rf"1 steps: energy distance {NUMBER}[\s\S]*?10 steps: energy distance {NUMBER}",
        "One exact step lands on the mean of the data. Energy distance to the data: {0} with one "
        "step, {1} with ten.",
    ),
    Question(
        "What does the midpoint rule buy?",
        "04",
        rf"exact\s+at 10 evaluations: Euler {NUMBER}\s+midpoint {NUMBER}",
        "At ten evaluations of the network the error falls from {0} (Euler) to {1}.",
    ),
    Question(
        "What is τ for, if the target does not contain it?",
        "03",
        rf"\(b\) not told τ\s+energy distance {NUMBER}[^\n]*\n\(c\) flow matching\s+energy "
        rf"distance {NUMBER}",
        "Which pairs pass a point depends on τ. Energy distance without being told τ {0}, with it "
        "{1}.",
    ),
    Question(
        "How well does a network learn the field?",
        "02",
        r"explains ([\d.]+ ?%)",
        "It explains {0} of the exact field's mean square.",
    ),
    Question(
        "What does the attention mask look like?",
        "05",
        r"pairs \(action, later action\) that may attend: (\d+ of \d+)",
        "Three blocks: images and words, then the state, then all actions. {0} pairs of an action "
        "and a later one may attend.",
    ),
    Question(
        "Why √width on text and not on images?",
        "05",
        rf"text, as stored in the table:\s+{NUMBER}\s+times sqrt\(width\): {NUMBER}",
        "Stored word vectors are small. The factor brings them from {0} to {1}, near the size of "
        "the image features.",
    ),
    Question(
        "What does the cache save?",
        "05",
        rf"10 steps, cached\s+[\d.]+ ms{TIMES}\s+10 steps, without\s+[\d.]+ ms{TIMES}",
        "Images and words are computed once for ten steps: {0} in place of {1}, at full size.",
    ),
    Question(
        "Are padded actions in the loss?",
        "12",
        r"padded in dims: ([\d.]+%)",
        "In the released code they are. For a robot of seven dims {0} of the loss's entries are "
        "padding; here a mask leaves them out.",
    ),
    Question(
        "z-score or quantiles?",
        "09",
        rf"joint_4_vel\s+z-score\s.*?{NUMBER}\n\s*joint_4_vel\s+quantile\s.*?{NUMBER}\n",
        "Look at your data: on a real arm's joint that hardly moves, the largest value is {0} with "
        "the z-score and {1} with quantiles.",
    ),
    Question(
        "What if deltas are normalised with the statistics of absolute actions?",
        "09",
        rf"'stay', under the absolute statistics: up to {NUMBER} \(",
        "No error appears, and one joint's targets lie {0} standard deviations away.",
    ),
    Question(
        "How much memory does fine-tuning need?",
        "12",
        r"together\s+([\d.]+ GB)\s+activations",
        "{0} before activations when everything is trained in float32: 20 bytes a parameter.",
    ),
    Question(
        "Is this the real π0?",
        "12",
        r"together\s+(3,[\d,]+)",
        "It has the released size and layout, {0} parameters, and gives the same outputs as the "
        "reference.",
    ),
    Question(
        "Flow matching or a regression: does it matter on a robot?",
        "00",
        r"flow, 10 steps\s+(\d+ of \d+)[\s\S]*?regression\s+(\d+ of \d+)",
        "Where two answers are right, it does: {0} trials at the wall succeed, with a regression "
        "of the same size {1}.",
    ),
    Question(
        "What do ten trials tell?",
        "11",
        r"10 of 10: the rate lies between ([\d.]+%) and",
        "Little: after 10 of 10, a success rate of {0} is still possible.",
    ),
    Question(
        "How many trials tell 90 % from 80 %?",
        "11",
        r"90%\s+80%\s+(\d{2,})\s",
        "{0} of each policy, to find the difference in 8 of 10 comparisons.",
    ),
    Question(
        "Does the validation loss predict success?",
        "11",
        r"held-out loss\s+\(lower is better\) and success, all ten checkpoints\s+rank correlation "
        r"([-+\d.]+ \[[^]]+\])",
        "It did not in ten checkpoints of one training: rank correlation {0}.",
    ),
    Question(
        "How many actions of a chunk should the robot execute?",
        "11",
        r"execute\s+4 of 16:\s+(\d+ of \d+)[\s\S]*?execute 16 of 16:\s+(\d+ of \d+)",
        "Few: at the wall {0} trials succeed with 4 of 16 actions, {1} with all 16.",
    ),
    Question(
        "How long should a chunk be?",
        "11",
        r"\n\s+4\s+4\s+(\d+%)[\s\S]*?\n\s+16\s+4\s+(\d+%)[\s\S]*?\n\s+32\s+4\s+(\d+%)",
        "At the wall it made no difference: policies that predict 4, 16 or 32 actions, and execute "
        "4 of them, succeed in {0}, {1} and {2} of the trials.",
        plain="At the wall it made no difference: policies that predict 4, 16 or 32 actions, and "
        "execute 4 of them, all succeed in {0} of the trials.",
    ),
    Question(
        "What did π0 change against Octo?",
        "08",
        r"Pi0\s+the expert runs\s+(\d+) times, the head\s+0 times\s+Octo\s+the expert runs\s+1 "
        r"times, the head (\d+)",
        "The noisy chunk goes through the transformer: its expert runs {0} times a chunk, where "
        "Octo's small head runs {1} times.",
    ),
    Question(
        "Can I fine-tune on a dozen demonstrations?",
        "13",
        r"fine-tuned, by the server\s+(\d+ of \d+)",
        "On a simulated arm with a task that the policy had never seen, {0} trials succeed.",
    ),
]
