"""The websocket server: openpi's protocol, errors that are answered, several robots at once."""

import contextlib
import threading
import urllib.request

import gymnasium
import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from minipi0.robot import recipes, server
from minipi0.robot.ahead import Ahead
from minipi0.robot.client import Client
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import rollout


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
        here.lines, here.clients = lines, contextlib.ExitStack()
        here.port = here.socket.getsockname()[1]
        yield here
        here.clients.close()
        here.shutdown()
        thread.join()


def robot(running):
    url, options = (
        f"ws://127.0.0.1:{running.port}",
        dict(compression=None, max_size=None, open_timeout=60),
    )
    connection = running.clients.enter_context(connect(url, **options))
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
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/healthz", timeout=60) as answer:
        assert answer.status == 200 and answer.read() == b"OK\n"


def test_the_latency_is_reported_by_part(running):
    connection, _ = robot(running)
    ask(connection, {"state": np.zeros(1)})
    connection.close()
    for _ in range(1200):  # a minute at most
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


def test_our_own_client(running):
    with Client(f"ws://127.0.0.1:{running.port}", execute=2) as policy:
        assert policy.facts == {"cameras": ["front"]}
        observation = {"state": np.array([0.5, 1.0], np.float32)}
        assert policy(observation).tolist() == [[1.5, 2.0]] * 2
        with pytest.raises(RuntimeError, match="answers: ValueError: the observation has no 'sta"):
            policy({"prompt": "go"})
        with Ahead(policy) as ahead:
            assert [ahead.act(observation)[0] for _ in range(4)] == [2.5, 2.5, 3.5, 3.5]
        policy.delay = 2
        with pytest.raises(ValueError, match="sends 3 actions; 2 to execute and a delay of 2 need"):
            policy(observation)
        with pytest.raises(ConnectionError, match="closed the connection"):
            policy({"state": np.zeros(2**18)})
    with pytest.raises(ValueError, match="pass execute="):
        Client(f"ws://127.0.0.1:{running.port}")


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(ConnectionError, match="no policy server answers at ws://127.0.0.1:9"):
        Client("ws://127.0.0.1:9", patience=0.2)


def nested(depth: int) -> bytes:
    """A message of lists in lists."""
    return b"\x91" * depth + b"\x90"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        nested(2**19),
        msgpack.packb([1, 2]),
        msgpack.packb({b"__ndarray__": True, b"data": b"", b"dtype": "<U9", b"shape": [-1]}),
        msgpack.packb({b"__ndarray__": True, b"data": 7, b"dtype": "<f4", b"shape": [1]}),
        msgpack.packb({b"__ndarray__": True, b"data": b"", b"dtype": "<f4", b"shape": "x"}),
        msgpack.packb({b"__ndarray__": True, b"data": b"", b"dtype": "f4,O", b"shape": [0]}),
        msgpack.packb({b"__npgeneric__": True, b"data": [1], b"dtype": "<i8"}),
        msgpack.packb({"state": msgpack.ExtType(4, b"1")}),
        msgpack.packb({"state": msgpack.Timestamp(1)}),
        msgpack.packb({"state": "x" * 9}) + b"more",
    ],
)
def test_what_nobody_should_send_is_answered_too(running, message):
    connection, _ = robot(running)
    connection.send(message)
    assert isinstance(connection.recv(60), str)
    assert ask(connection, {"state": np.zeros(1)})["actions"].shape == (3, 1)
    connection.close()


def test_a_robot_that_vanishes_takes_nobody_along(running):
    (one, _), (other, _) = robot(running), robot(running)
    one.send(server.pack({"state": np.zeros(1)}))
    one.socket.close()
    assert ask(other, {"state": np.zeros(1)})["actions"][0, 0] == 1
    other.close()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--checkpoint", "no/such/folder/here"], "no/such/folder/here"),
        (["--execute", "99"], "execute must lie between 1 and the horizon, 16"),
        (["--cameras", "a", "b"], "names 2, the model was trained with 1"),
        (["--data-set", "mine"], "not trained on several data sets: not on 'mine'"),
    ],
)
def test_the_command_says_what_is_wrong(more, said, capsys):
    with pytest.raises(SystemExit):
        server.main(["--checkpoint", str(recipes.CARRIED / "wall"), *more])
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(running, capsys):
    with pytest.raises(SystemExit):
        checkpoint = str(recipes.CARRIED / "wall")
        server.main(["--checkpoint", checkpoint, "--port", str(running.port)])
    assert "in use" in capsys.readouterr().err


def test_openpis_own_client(running):
    client = pytest.importorskip("openpi_client.websocket_client_policy", reason="no openpi-client")
    policy = client.WebsocketClientPolicy("127.0.0.1", running.port)
    assert policy.get_server_metadata() == {"cameras": ["front"]}
    observation = {"state": np.array([0.5, 1.0], np.float32), "prompt": "go"}
    assert policy.infer(observation)["actions"].shape == (3, 2)
    with pytest.raises(RuntimeError, match="the observation has no 'state'"):
        policy.infer({"prompt": "go"})
    assert policy.infer(observation)["actions"][0, 0] == 2.5


def test_openpis_client_drives_the_simulator_as_the_policy_itself_would():
    client = pytest.importorskip("openpi_client.websocket_client_policy", reason="no openpi-client")
    policy = Policy.from_pretrained(recipes.CARRIED / "wall", execute=7)
    served = policy.another()  # its first trial has the seed of both
    served.reset(3)
    env = gymnasium.make("minipi0/Wall-v0", pictures=False, cameras=("front",))
    expected = rollout(env, policy, 3, record=True)

    class Remote:
        """What `rollout` asks of a policy, by openpi's client."""

        def reset(self, seed):
            self.actions = []

        @property
        def needs_observation(self):
            return not self.actions

        def act(self, observation):
            if not self.actions:
                self.actions = list(connection.infer(observation)["actions"])
            return self.actions.pop(0)

    with server.start(lambda: served, port=0, report=lambda line: None) as here:
        thread = threading.Thread(target=here.serve_forever)
        thread.start()
        connection = client.WebsocketClientPolicy("127.0.0.1", here.socket.getsockname()[1])
        found = rollout(env, Remote(), 3, record=True)
        connection._ws.close()
        here.shutdown()
        thread.join()
    env.close()
    assert found == expected
    np.testing.assert_array_equal(found.recording.actions, expected.recording.actions)
