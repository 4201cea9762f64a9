"""Print what is in a data set and what is wrong with it: python -m minipi0.data FOLDER_OR_NAME"""

import argparse

from minipi0.command_line import Parser, taken, which_data
from minipi0.data import report


def main(arguments: list[str] | None = None) -> None:
    """The command line. Its status is 1 where the data set cannot be read."""
    parser = Parser(prog="python -m minipi0.data", description=report.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", help="a folder, a name, or a Hugging Face repo id (owner/name)")
    parser.add_argument("--revision", help="branch, tag or commit of that repository")
    which_data(parser)
    args = parser.parse_args(arguments)
    with parser.errors_in_one_line(args):
        print(report.examine(args.source, args.revision, **taken(args)))


if __name__ == "__main__":
    main()
