"""The websocket server: openpi's protocol, errors that are answered, several robots at once."""

import threading
import urllib.request

import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from minipi0.robot import server


class Echo:
    """A policy that counts its calls: the first k rows are that count, then the state."""

    def __init__(self):
        self.calls = 0

    def __call__(self, observation):
        if "state" not in observation:
            raise ValueError("the observation has no 'state'")
        self.calls += 1
        return np.full((3, len(observation["state"])), self.calls) + observation["state"]


@pytest.fixture
def running():
    lines = []
    options = dict(port=0, facts={"cameras": ["front"]}, report=lines.append)
    with server.start(Echo, **options, largest_message=2**20) as here:
        thread = threading.Thread(target=here.serve_forever)
        thread.start()
        here.lines = lines
        here.port = here.socket.getsockname()[1]
        yield here
        here.shutdown()
        thread.join()


def robot(running):
    connection = connect(f"ws://127.0.0.1:{running.port}", compression=None, max_size=None)
    return connection, server.unpack(connection.recv())


def ask(connection, observation):
    connection.send(server.pack(observation))
    answer = connection.recv()
    return answer if isinstance(answer, str) else server.unpack(answer)


def test_actions_come_back_as_float32_with_the_time_they_took(running):
    connection, facts = robot(running)
    assert facts == {"cameras": ["front"]}
    picture = np.zeros((4, 4, 3), np.uint8)
    answer = ask(connection, {"state": np.array([0.5, 1.0]), "images": {"front": picture}})
    assert answer["actions"].dtype == np.float32 and answer["actions"].shape == (3, 2)
    assert answer["actions"][0].tolist() == [1.5, 2.0] and answer["server_timing"]["infer_ms"] >= 0
    connection.close()


def test_robots_do_not_mix_up(running):
    (one, _), (other, _) = robot(running), robot(running)
    observation = {"state": np.zeros(1)}
    counts = [ask(who, observation)["actions"][0, 0] for who in (one, one, other, one, other)]
    assert counts == [1, 2, 1, 3, 2]
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (server.pack({"prompt": "go"}), "ValueError: the observation has no 'state'"),
        ("hello", "expected a binary msgpack message, got text"),
        (b"\xc1", "cannot be read as msgpack"),
        (msgpack.packb({b"__ndarray__": True}), "an array is described wrongly"),
        (
            msgpack.packb({b"__ndarray__": True, b"data": b"", b"dtype": "O", b"shape": [1]}),
            "arrays of object are refused",
        ),
        (
            msgpack.packb({b"__ndarray__": True, b"data": b"12", b"dtype": "<f4", b"shape": [9]}),
            "buffer size must be a multiple",
        ),
    ],
)
def test_errors_are_answered_and_not_fatal(running, message, said):
    connection, _ = robot(running)
    connection.send(message)
    answer = connection.recv()
    assert isinstance(answer, str) and said in answer
    assert ask(connection, {"state": np.zeros(1)})["actions"][0, 0] == 1
    connection.close()


def test_a_message_that_is_too_large_ends_only_its_own_connection(running):
    (greedy, _), (modest, _) = robot(running), robot(running)
    with pytest.raises(ConnectionClosed):
        ask(greedy, {"state": np.zeros(2**18)})
    assert ask(modest, {"state": np.zeros(1)})["actions"][0, 0] == 1
    modest.close()


def test_health(running):
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/healthz", timeout=10) as answer:
        assert answer.status == 200 and answer.read() == b"OK\n"


def test_the_latency_is_reported_by_part(running):
    connection, _ = robot(running)
    ask(connection, {"state": np.zeros(1)})
    connection.close()
    for _ in range(100):
        if any("left" in line for line in running.lines):
            break
        threading.Event().wait(0.05)
    said = next(line for line in running.lines if "median" in line)
    assert "1 calls" in said and all(part in said for part in ("read", "wait", "infer", "write"))


def test_arrays_of_objects_are_not_sent():
    with pytest.raises(ValueError, match="arrays of object cannot be sent"):
        server.pack({"x": np.array([None])})


def test_it_listens_to_this_machine_alone_unless_told_otherwise(running):
    assert running.socket.getsockname()[0] == "127.0.0.1"


def test_openpis_own_client(running):
    client = pytest.importorskip("openpi_client.websocket_client_policy", reason="no openpi-client")
    policy = client.WebsocketClientPolicy("127.0.0.1", running.port)
    assert policy.get_server_metadata() == {"cameras": ["front"]}
    observation = {"state": np.array([0.5, 1.0], np.float32), "prompt": "go"}
    assert policy.infer(observation)["actions"].shape == (3, 2)
    with pytest.raises(RuntimeError, match="the observation has no 'state'"):
        policy.infer({"prompt": "go"})
    assert policy.infer(observation)["actions"][0, 0] == 2.5
