"""What a command says when something is wrong: one line, without a traceback, in its own words.

The library says `cameras=[]` and `test_every=None`; whoever typed a command reads "--cameras
without names" and "--test-every 0".
"""

import argparse
import functools
import os
import re
import sys
import warnings
from contextlib import contextmanager


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> None:
        """End the command with status 2."""
        self.exit(
            2, f"{self.prog}: error: {' '.join(message.split())} (--help lists the options)\n"
        )

    @contextmanager
    def errors_in_one_line(self, args: argparse.Namespace):
        """Inside, what the library raises ends the command with one line, and so warnings read.

        args: what was parsed; its names are the command's options.
        """

        @functools.cache  # both splits of a data set warn of the same
        def tell(line: str):
            print(f"{self.prog}: warning: {line}", file=sys.stderr)

        def show(message, *_, **__):
            tell(in_words(str(message), args))

        with warnings.catch_warnings():
            warnings.showwarning = show
            try:
                yield
            except BrokenPipeError:  # the reader has seen enough: `… | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                self.exit(1)
            except (ValueError, OSError, ArithmeticError) as error:
                told = " ".join([str(error), *getattr(error, "__notes__", [])])
                self.exit(1, f"{self.prog}: error: {in_words(told, args)}\n")


def in_words(message: str, args: argparse.Namespace) -> str:
    """A library's message in a command's words, on one line."""

    def option(found: re.Match) -> str:
        name, value = found.groups()
        if name not in args:
            return found.group()
        flag = f"--{name.replace('_', '-')}"
        if value == "None":
            return f"{flag} 0" if name == "test_every" else f"no {flag}"
        if value == "[]":
            return f"{flag} without names"
        plain = re.sub(r"[\[\]',]", "", value)
        return flag if value in ("", "True") else f"{flag} {plain}"

    return re.sub(r"\b(\w+)=(\[[^\]]*\]|'[^']*'|\w*)", option, " ".join(message.split()))


def numbers(text: str) -> list[int]:
    """The numbers that a word names: "7" or "0-4", a comma behind it or not."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?,?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no number and no range like 0-49")
    first, last = int(found[1]), int(found[2] or found[1])
    return list(range(first, last + 1))


def flat(lists: list[list[int]] | None) -> list[int] | None:
    """All numbers of several words; None stays None."""
    return None if lists is None else [number for one in lists for number in one]


def which_data(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to take of a data set; `taken` reads them."""
    option = parser.add_argument
    option("--state-key", nargs="+", help="features of the state (default: observation.state)")
    option("--action-key", nargs="+", help="features of the action (default: action)")
    option("--episodes", nargs="+", type=numbers, help="take only these, as 0-49 60")
    option("--without", nargs="+", type=numbers, help="leave these episodes out")


def taken(args: argparse.Namespace) -> dict:
    """The arguments of `data.load` that the options of `which_data` give."""
    return {
        "state_key": args.state_key,
        "action_key": args.action_key,
        "episodes": flat(args.episodes),
        "without": flat(args.without),
    }
