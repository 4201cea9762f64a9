"""The robot's side of the server: a policy that computes in another process, or on another machine.

    with Client("ws://127.0.0.1:8000") as policy:
        policy(observation)                       # float32[k, D]
        Ahead(policy).act(observation)            # one action, thinking while the robot moves

openpi's own client does the same; this one needs no further package.
"""

import contextlib
import time

import numpy as np
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from minipi0.robot.server import LARGEST_MESSAGE, pack, unpack


class Client:
    """A connection to a policy server, ours or openpi's.

    url: "ws://HOST:PORT". execute, delay: as of `chunking.Queue`, for `Ahead`; execute is by
        default what the server says. The server has to send execute + delay actions or more.
    patience: seconds to wait for a server that is not there yet, and for an answer.

    facts: what the server tells of its policy. Raises ConnectionError where no server answers.
    """

    def __init__(
        self, url: str, execute: int | None = None, delay: int = 0, patience: float = 60.0
    ):
        self.url, self.patience = url, patience
        self._open = contextlib.ExitStack()
        self._connection = self._open.enter_context(self._connect())
        self.facts = unpack(self._receive())
        self.execute = execute or self.facts.get("execute")
        if not self.execute:
            raise ValueError(f"{url} does not say how many actions to execute: pass execute=")
        self.delay = delay

    def __call__(self, observation: dict) -> np.ndarray:
        """The next `execute` actions, float32[k, D]."""
        return self.think(observation)[: self.execute]

    def think(self, observation: dict) -> np.ndarray:
        """All actions of the server's answer, float32[H, D].

        Raises RuntimeError with the server's own words where it found a fault, ConnectionError
        where it does not answer, ValueError where the answer has too few actions.
        """
        try:
            self._connection.send(pack(observation))
        except ConnectionClosed as error:
            raise ConnectionError(f"{self.url} closed the connection: {error}") from None
        answer = self._receive()
        if isinstance(answer, str):
            raise RuntimeError(f"{self.url} answers: {answer}")
        actions = unpack(answer)["actions"]
        if len(actions) < self.execute + self.delay:
            raise ValueError(
                f"{self.url} sends {len(actions)} actions; {self.execute} to execute and a delay "
                f"of {self.delay} need more: start the server with a larger --execute"
            )
        return actions

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode. The protocol has no word for it: the server keeps nothing but a count
        of its calls, from which it draws its noise. seed: for a Policy's sake; not used.
        """

    def close(self) -> None:
        """Leave the server."""
        self._open.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _connect(self) -> ClientConnection:
        end = time.monotonic() + self.patience
        while True:
            try:
                # a robot's server is on its own network: no proxy stands between
                options = dict(compression=None, max_size=LARGEST_MESSAGE, proxy=None)
                return connect(self.url, **options)
            except (OSError, WebSocketException) as error:
                if time.monotonic() > end:
                    raise ConnectionError(
                        f"no policy server answers at {self.url}: {error}"
                    ) from None
                time.sleep(0.1)

    def _receive(self) -> bytes | str:
        try:
            return self._connection.recv(self.patience)
        except TimeoutError:
            raise ConnectionError(f"{self.url} gave no answer in {self.patience:g} s") from None
        except ConnectionClosed as error:
            raise ConnectionError(f"{self.url} closed the connection: {error}") from None
