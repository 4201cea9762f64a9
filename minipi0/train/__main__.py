"""The command `python -m minipi0.train`."""

from minipi0.train.command import main

if __name__ == "__main__":
    main()
