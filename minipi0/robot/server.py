"""A policy behind openpi's websocket protocol:  python -m minipi0.serve --checkpoint DIR

A robot that talks to openpi talks to this server unchanged. A connection starts with a message of
facts about the policy. Then every message from the robot is an observation, and every answer holds
"actions": float32[k, D], in the robot's units. Messages are msgpack; numpy arrays travel as
{b"__ndarray__": True, b"data", b"dtype", b"shape"}. There is no pickle anywhere: arrays of Python
objects are refused.

A bad observation is answered with a sentence (a text message, which openpi's client raises as an
error), and the connection goes on. Each connection has a policy state of its own, so robots never
mix up; the model computes for one of them at a time.
"""

import functools
import http
import threading
import time
from collections.abc import Callable

import msgpack
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from minipi0.command_line import Parser, in_words

LARGEST_MESSAGE = 2**25  # bytes; three cameras of 1920x1080 uncompressed are 18 MiB


def pack(message) -> bytes:
    """msgpack of plain values, lists, dicts and numpy arrays; ValueError for other arrays."""
    return msgpack.packb(message, default=_pack_array)


def unpack(message: bytes):
    """The inverse of `pack`. Raises ValueError for what is no such message."""
    try:
        return msgpack.unpackb(message, object_hook=_unpack_array)
    except ValueError as error:
        raise ValueError(
            f"the message cannot be read as msgpack with numpy arrays: "
            f"{error or type(error).__name__}"
        ) from None


def start(
    make_policy: Callable,
    host: str = "127.0.0.1",
    port: int = 8000,
    largest_message: int = LARGEST_MESSAGE,
    facts: dict | None = None,
    report: Callable[[str], None] = print,
) -> Server:
    """A server that listens; its `serve_forever` answers until `shutdown` is called.

    make_policy: makes a policy for a new connection: observation -> float32[k, D].
    host: 127.0.0.1 answers this machine alone; "0.0.0.0" answers everybody who reaches it.
    port: 0 takes a free one; the server's socket tells which.
    facts: plain values that each client is told first.
    report: what to do with a line about a connection or a latency.
    GET /healthz is answered with OK.
    """
    lock = threading.Lock()

    def health(connection: ServerConnection, request):
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        return None

    def talk(connection: ServerConnection) -> None:
        robot = "{}:{}".format(*connection.remote_address[:2])
        report(f"{robot} connected")
        timings = []
        try:
            policy = make_policy()
            connection.send(pack(facts or {}))
            for message in connection:
                answer, timing = _answer(message, policy, lock)
                connection.send(answer)
                timings.append(timing)
                if len(timings) == 100:
                    report(f"{robot}: {describe(timings)}")
                    timings.clear()
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code not in (1000, 1001):
                report(f"{robot}: the connection broke ({closed})")
        if timings:
            report(f"{robot}: {describe(timings)}")
        report(f"{robot} left")

    options = dict(compression=None, max_size=largest_message, process_request=health)
    return serve(talk, host, port, **options)


def describe(timings: list[dict[str, float]]) -> str:
    """The median milliseconds of every part, over some calls."""
    parts = {part: np.median([timing[part] for timing in timings]) for part in timings[0]}
    return f"{len(timings)} calls, median " + ", ".join(f"{k} {v:.1f} ms" for k, v in parts.items())


def _answer(message, policy, lock) -> tuple[bytes | str, dict[str, float]]:
    """What to send back: bytes with actions, or a text that says what is wrong."""
    clock = [time.perf_counter()]
    answer: bytes | str
    try:
        if isinstance(message, str):
            raise ValueError("expected a binary msgpack message, got text")
        observation = unpack(message)
        clock.append(time.perf_counter())
        with lock:
            clock.append(time.perf_counter())
            actions = np.asarray(policy(observation), dtype=np.float32)
        clock.append(time.perf_counter())
        timing = {"infer_ms": 1e3 * (clock[3] - clock[2])}
        answer = pack({"actions": actions, "server_timing": timing})
    except Exception as error:  # whatever a robot sent or a model did: say it and go on serving
        answer = f"{type(error).__name__}: {error}"
    clock += [time.perf_counter()] * (5 - len(clock))
    names = ("read", "wait", "infer", "write")
    return answer, {n: 1e3 * (b - a) for n, a, b in zip(names, clock, clock[1:], strict=False)}


def _pack_array(value):
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "OVc":
            raise ValueError(f"arrays of {value.dtype} cannot be sent")
        if isinstance(value, np.ndarray):
            data, shape = value.tobytes(), value.shape
            return {b"__ndarray__": True, b"data": data, b"dtype": value.dtype.str, b"shape": shape}
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise ValueError(f"a {type(value).__name__} cannot be sent")


def _unpack_array(value: dict):
    if b"__ndarray__" not in value and b"__npgeneric__" not in value:
        return value
    try:
        dtype = np.dtype(value[b"dtype"])
        if dtype.kind in "OVc":
            raise ValueError(f"arrays of {dtype} are refused")
        if b"__npgeneric__" in value:
            return dtype.type(value[b"data"])
        return np.frombuffer(value[b"data"], dtype).reshape(value[b"shape"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an array is described wrongly: {error!r}") from None


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(
        prog="python -m minipi0.serve", description="Serve a policy as openpi does, by websocket."
    )
    parser.add_argument("--checkpoint", required=True, help="a folder, or a Hugging Face repo id")
    parser.add_argument("--revision", help="branch, tag or commit of that repository")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: other machines too")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--execute", type=int, help="actions a chunk (default: all of them)")
    parser.add_argument("--steps", type=int, default=10, help="Euler steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--cameras", nargs="+", help="what the robot calls them, in the model's order, or none"
    )
    parser.add_argument("--data-set", help="of a model trained on several: the one of this robot")
    parser.add_argument("--device", default="cpu", help="cuda, mps, … (%(default)s)")
    parser.add_argument("--bf16", action="store_true", help="weights in bfloat16: half the memory")
    args = parser.parse_args(arguments)

    import torch

    from minipi0.robot.policy import Policy

    cameras = args.cameras and [None if name == "none" else name for name in args.cameras]
    dtype = torch.bfloat16 if args.bf16 else torch.float32
    options = dict(execute=args.execute, steps=args.steps, seed=args.seed, cameras=cameras)
    options |= dict(revision=args.revision, data_set=args.data_set)
    try:
        first = Policy.from_pretrained(args.checkpoint, dtype, args.device, **options)
        seconds = first.warm_up()
        facts = {"checkpoint": args.checkpoint, **first.facts()}
        say = functools.partial(print, flush=True)  # at once, also into a file
        server = start(first.another, args.host, args.port, facts=facts, report=say)
    except (ValueError, OSError) as error:  # also a file or a port that is not to be had
        parser.error(in_words(str(error), args))
    with server:
        where = f"ws://{args.host}:{server.socket.getsockname()[1]}"
        say(f"serving {args.checkpoint} on {where}; a chunk takes {seconds:.2f} s")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
