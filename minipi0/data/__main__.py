"""Print what is in a data set and what is wrong with it: python -m minipi0.data FOLDER_OR_NAME"""

import argparse
import sys

from minipi0.data import report


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, or 1 where the data set cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m minipi0.data", description=report.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", help="a folder, a name, or a Hugging Face repo id (owner/name)")
    parser.add_argument("--revision", help="branch, tag or commit of that repository")
    args = parser.parse_args(arguments)
    try:
        print(report.examine(args.source, args.revision))
    except (OSError, ValueError) as error:
        print(f"minipi0.data: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
