"""The command `python -m minipi0.serve`; the server itself is robot/server.py."""

from minipi0.robot.server import main

if __name__ == "__main__":
    main()
