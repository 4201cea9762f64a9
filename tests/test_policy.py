"""The policy: from what a robot sends, in every style, to commands in its units."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic import TINY, Chunks

from minipi0 import Observation, Pi0, prompt, train
from minipi0.baselines import GaussianRegression, GiantDecoder, Insulated, Regression
from minipi0.robot import server
from minipi0.robot.policy import Policy

CONFIG = replace(TINY, vocab_size=260, state_dim=4, action_dim=5)
STATS = {  # of a robot with 3 numbers in its state and 2 in its action
    "state_mean": torch.tensor([1.0, 2.0, 3.0]),
    "state_std": torch.tensor([1.0, 10.0, 0.0]),
    "action_mean": torch.tensor([5.0, -5.0]),
    "action_std": torch.tensor([2.0, 0.5]),
}
ABOUT = {
    "cameras": ["observation.images.front", "observation.images.hand"],
    "state_names": ["x", "y", "grip"],
    "action_names": ["vx", "vy"],
    "fps": 10.0,
    "horizon": 4,
    "tokenizer": "bytes",
    "prompt_length": 24,
}


def model(kind=Pi0) -> Pi0:
    torch.manual_seed(0)
    made = kind(CONFIG).eval()
    made.stats, made.about = STATS, ABOUT
    return made


def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"front": (8, 8, 3), "hand": (6, 8, 3)}
    return {name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}


def observation(**changes) -> dict:
    state = np.array([1.5, 2.0, 3.0], np.float32)
    return pictures() | {"state": state, "prompt": "open the box"} | changes


# ---- from the robot to the model and back ------------------------------------------------------


def test_it_is_what_one_would_write_by_hand():
    policy = Policy(model(), execute=3)
    actions = policy(observation())
    front, hand = (torch.from_numpy(p).permute(2, 0, 1) for p in pictures().values())
    images = torch.zeros(1, 2, 3, 8, 8)
    images[0, 0] = front
    images[0, 1, :, 1:7] = hand  # black above and below
    tokens, token_mask = prompt.tokenize(["open the box"], 24)
    state = torch.tensor([[0.5, 0.0, 0.0, 0.0]])
    seen = Observation(
        images / 127.5 - 1, torch.ones(1, 2, dtype=torch.bool), tokens, token_mask, state
    )
    for name, value in vars(policy.observe(observation())).items():
        torch.testing.assert_close(value, getattr(seen, name), msg=name)
    source = int(np.random.SeedSequence([0, 0]).generate_state(1, np.uint64)[0])
    noise = torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(source))
    chunk = model().sample_actions(seen, noise=noise, steps=10)[0, :3, :2]
    expected = chunk * torch.tensor([2.0, 0.5]) + torch.tensor([5.0, -5.0])
    assert actions.dtype == np.float32 and actions.shape == (3, 2)
    np.testing.assert_allclose(actions, expected, atol=1e-5)


def test_every_style_of_keys_means_the_same():
    front, hand = pictures().values()
    state, text = observation()["state"], "open the box"
    inner = {"images": {"front": front, "hand": hand}, "state": state}
    styles = [
        observation(),
        {"observation.images.front": front, "observation.images.hand": hand}
        | {"observation.state": torch.from_numpy(state), "task": text},
        {"observation/front": front, "observation/hand": hand}
        | {"observation/state": state.tolist(), "prompt": text},
        {"observation": inner, "prompt": text},
        inner | {"prompt": text},
    ]
    for style in styles:
        np.testing.assert_array_equal(Policy(model())(style), Policy(model())(observation()))


def test_numpy_torch_and_pil_pictures_mean_the_same():
    expected = Policy(model())(observation())
    for kind in (
        torch.from_numpy,
        Image.fromarray,
        lambda p: p.transpose(2, 0, 1),
        lambda p: torch.from_numpy(p).permute(2, 0, 1),
        lambda p: p.astype(np.float32) / 255,
    ):
        given = {name: kind(picture) for name, picture in pictures().items()}
        np.testing.assert_array_equal(Policy(model())(observation(**given)), expected)


def test_pil_pictures_of_every_kind_are_read_as_colours():
    grey = Image.fromarray(np.full((8, 8), 90, np.uint8))
    expected = Policy(model())(observation(hand=np.full((8, 8, 3), 90, np.uint8)))
    for mode in ("L", "RGBA", "P", "RGB"):
        found = Policy(model())(observation(hand=grey.convert(mode)))
        np.testing.assert_array_equal(found, expected)
    turned = observation(hand=np.full((8, 8, 3), 90, np.uint8)[::-1, :, ::-1])
    np.testing.assert_array_equal(Policy(model())(turned), expected)


def test_a_camera_that_is_absent_does_not_matter():
    one = Policy(model(), cameras=["front", None])
    alone = Policy(model(), cameras=["front"], about=ABOUT | {"cameras": ["front"]})
    given = {name: value for name, value in observation().items() if name != "hand"}
    np.testing.assert_allclose(one(given), alone(given), atol=1e-5)
    assert one.observe(given).image_mask.tolist() == [[True, False]]


def test_the_robots_own_camera_names_stand_in_the_models_order():
    renamed = Policy(model(), cameras=["left_eye", "wrist"])
    front, hand = pictures().values()
    given = {"wrist": hand, "left_eye": front, "state": observation()["state"]}
    expected = Policy(model())(observation())
    np.testing.assert_array_equal(renamed(given | {"prompt": "open the box"}), expected)


def test_other_formulas_of_normalisation():
    stats = {"state_q01": torch.zeros(3), "state_q99": torch.full((3,), 4.0)}
    stats |= {"action_min": torch.tensor([0.0, 10.0]), "action_max": torch.tensor([2.0, 30.0])}
    policy = Policy(model(), stats)
    assert policy.observe(observation()).state[0].tolist() == [-0.25, 0.0, 0.5, 0.0]
    plain = Policy(model(), STATS | {"action_mean": torch.zeros(2), "action_std": torch.ones(2)})
    plain.normaliser["state"] = policy.normaliser["state"]
    expected = plain(observation()) * [1, 10] + [1, 20]
    np.testing.assert_allclose(policy(observation()), expected, rtol=1e-5)


def test_relative_actions_become_absolute():
    relative = Policy(model(), about=ABOUT | {"relative_actions": [True, False]})
    moved = relative(observation()) - Policy(model())(observation())
    np.testing.assert_allclose(moved, [[1.5, 0.0]] * 4, atol=1e-6)


def test_a_longer_prompt_gets_more_room_and_padding_does_not_matter():
    policy, short = Policy(model()), "open"
    long = "open the box that stands behind the other box"
    assert policy.observe(observation(prompt=long)).tokens.shape == (1, len(long) + 2)
    roomy = Policy(model(), about=ABOUT | {"prompt_length": 48})
    one, other = policy(observation(prompt=short)), roomy(observation(prompt=short))
    np.testing.assert_allclose(one, other, atol=1e-5)


# ---- what is wrong is named --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"front": np.zeros((8, 8), np.uint8)}, r"picture of 'front' has shape \(8, 8\)"),
        ({"front": np.zeros((1, 8, 8, 3), np.uint8)}, "expected .H, W, 3."),
        ({"front": np.zeros((8, 8, 4), np.uint8)}, "expected .H, W, 3."),
        ({"hand": np.full((8, 8, 3), 200.0)}, "'hand' holds floats from 200 to 200: give uint8"),
        ({"hand": np.full((8, 8, 3), -0.5)}, "give uint8"),
        ({"hand": np.full((8, 8, 3), np.nan)}, "'hand' holds NaN"),
        ({"hand": np.zeros((8, 8, 3), np.int64)}, "'hand' is int64: give uint8"),
        ({"hand": None}, "'hand' cannot be read"),
        ({"hand": Image.new("I;16", (8, 8))}, "depth map"),
        ({"state": np.zeros(4)}, r"state has shape \(4,\), expected \(3,\): \['x', 'y', 'grip'\]"),
        ({"state": np.zeros((1, 3))}, r"state has shape \(1, 3\)"),
        ({"state": [0, np.nan, np.inf]}, "NaN or infinity: y, grip"),
        ({"state": ["a", "b", "c"]}, "state cannot be read as numbers"),
        ({"hand": np.zeros((8, 8, 3), bool)}, "'hand' is bool: give uint8"),
        ({"hand": np.zeros((0, 8, 3), np.uint8)}, r"'hand' has shape \(0, 8, 3\)"),
        ({"hand": torch.full((8, 8, 3), 3.0, dtype=torch.bfloat16)}, "'hand' holds floats from 3"),
        ({"hand": [[1, 2], [3]]}, "'hand' cannot be read as numbers"),
        ({"hand": "hand.png"}, "'hand' cannot be read as numbers"),
        ({"state": [1j, 0, 0]}, "state cannot be read as numbers: they are complex128"),
        ({"state": ["1", "2", "3"]}, "state cannot be read as numbers"),
        ({"state": [[1, 2], [3]]}, "state cannot be read as numbers"),
        ({"state": None}, "state cannot be read as numbers"),
        ({"state": [1e300, 0, 0]}, "NaN or infinity: x"),
        ({"prompt": b"open"}, "give the instruction as a text"),
        ({"prompt": "open " * 300}, "the prompt has 1500 characters, the most are 1000"),
        ({"state": {"x": 1.0, "y": 2.0, "grip": 3.0}}, 'no "state"; it has .*state.x'),
        ({"prompt": None}, "give the instruction as a text"),
        ({"prompt": ["open"]}, "give the instruction as a text"),
        ({"prompt": " "}, "give the instruction as a text"),
        ({"observation.images.front": np.zeros((8, 8, 3))}, "both mean 'front'"),
    ],
)
def test_a_fault_of_the_observation_is_named(changes, said):
    with pytest.raises(ValueError, match=said):
        Policy(model())(observation(**changes))


@pytest.mark.parametrize(
    ("key", "said"),
    [("hand", "no picture of camera 'hand'; it has .'front'."), ("state", 'no "state"')],
)
def test_a_part_that_is_missing_is_named(key, said):
    given = observation()
    del given[key]
    with pytest.raises(ValueError, match=said):
        Policy(model())(given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"execute": 0}, "execute must lie between 1 and the horizon, 4"),
        ({"execute": 5}, "execute must lie between 1 and the horizon, 4"),
        ({"execute": 2.5}, "execute must be a whole number, not 2.5"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"seed": -1}, "the seed must not be negative"),
        ({"cameras": ["front", "front"]}, "names 'front' twice"),
        ({"execute": 3, "delay": 2}, "delay must lie between 0 and 1"),
        ({"ensemble": 0.01, "delay": 1, "execute": 2}, "choose one"),
        ({"ensemble": float("nan")}, "must be finite, not nan"),
        ({"cameras": ["front"]}, "names 1, the model was trained with 2"),
        ({"cameras": "front"}, "not the text"),
        ({"about": {"tokenizer": "bytes"}}, "does not say which cameras"),
        ({"about": ABOUT | {"tokenizer": "letters"}}, "tokenizer is 'letters'"),
        ({"about": ABOUT | {"unsupported": ["adapt_to_pi_aloha"]}}, "adapt_to_pi_aloha"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Policy(model(), **options)


def test_a_model_without_statistics_is_refused():
    bare = model()
    bare.stats = None
    with pytest.raises(ValueError, match="no normalisation statistics: pass stats="):
        Policy(bare)


def test_a_chunk_that_is_not_finite_never_reaches_the_robot():
    broken = model()
    with torch.no_grad():
        broken.action_out_proj.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match="chunk holds NaN"):
        Policy(broken)(observation())


def test_a_state_in_other_units_is_noticed():
    with pytest.warns(UserWarning, match=r"far from all training data: y \(\+48\)"):
        Policy(model())(observation(state=[1.0, 482.0, 3.0]))


def test_torchs_numbers_are_read_whatever_their_kind():
    expected = Policy(model())(observation(state=[1.5, 2.0, 3.0]))
    for dtype in (torch.float64, torch.bfloat16):
        state = torch.tensor([1.5, 2.0, 3.0], dtype=dtype, requires_grad=True)
        np.testing.assert_array_equal(Policy(model())(observation(state=state)), expected)


# ---- seeds and queues --------------------------------------------------------------------------


def test_the_noise_depends_on_the_seed_and_the_number_of_the_call_alone():
    policy, fresh = Policy(model(), seed=3), Policy(model(), seed=3)
    first, second = policy(observation()), policy(observation())
    assert not np.array_equal(first, second)
    fresh(observation(prompt="something else"))
    fresh.chunk(observation(), samples=5)
    np.testing.assert_array_equal(fresh(observation()), second)
    policy.reset()
    np.testing.assert_array_equal(policy(observation()), first)
    policy.reset(seed=4)
    assert not np.array_equal(policy(observation()), first)


def test_the_fan_begins_with_what_the_next_call_does():
    policy = Policy(model(), execute=2)
    fan = policy.chunk(observation(), samples=6)
    assert fan.shape == (6, 4, 2) and fan.dtype == np.float32
    assert fan.std(axis=0).min() > 0
    np.testing.assert_allclose(policy(observation()), fan[0, :2], atol=1e-5)


def test_act_thinks_once_in_k_actions():
    policy, whole = Policy(model(), execute=3), Policy(model(), execute=3)
    asked, done = [], []
    for step in range(7):
        if policy.needs_observation:
            asked.append(step)
        done.append(policy.act(observation() if policy.needs_observation else None))
    assert asked == [0, 3, 6]
    chunks = [whole(observation()) for _ in asked]
    np.testing.assert_allclose(done, np.concatenate(chunks)[:7], atol=1e-6)
    policy.reset()
    with pytest.raises(ValueError, match="a new chunk is due"):
        policy.act()


def test_another_robot_has_a_queue_of_its_own():
    policy = Policy(model(), execute=2)
    expected = [policy.act(observation()) for _ in range(3)]
    twin = policy.another()
    assert twin.model is policy.model
    np.testing.assert_array_equal([twin.act(observation()) for _ in range(3)], expected)
    assert server.unpack(server.pack(policy.facts()))["cameras"] == ["front", "hand"]


def test_a_warm_up_leaves_no_trace_and_tells_how_long_a_chunk_takes():
    policy, other = (Policy(model(), execute=2, real_time=True) for _ in range(2))
    for step in range(4):
        np.testing.assert_array_equal(policy.act(observation()), other.act(observation()))
        assert step != 2 or 0 < policy.warm_up("open the box") < 20


# ---- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["minipi0", "lerobot"])
def test_a_checkpoint_knows_what_it_is(tmp_path, layout):
    model().save_pretrained(tmp_path, layout, about=ABOUT | {"command": "train it", "seed": 7})
    again = Policy.from_pretrained(tmp_path)
    assert again.about == ABOUT | {"command": "train it", "seed": 7, "model": "Pi0"}
    assert again.cameras == ["front", "hand"]
    np.testing.assert_allclose(again(observation()), Policy(model())(observation()), atol=1e-5)


def test_half_precision_files_run_in_float32_unless_told_otherwise(tmp_path):
    model().to(torch.bfloat16).save_pretrained(tmp_path)
    assert Policy.from_pretrained(tmp_path).model.projector.weight.dtype == torch.float32
    half = Policy.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half(observation()).dtype == np.float32


def test_baselines_are_policies_too(tmp_path):
    regression = model(Regression)
    policy = Policy(regression)
    np.testing.assert_array_equal(policy(observation()), policy(observation()))
    regression.save_pretrained(tmp_path / "mean")
    again = Policy.from_pretrained(tmp_path / "mean")
    assert type(again.model) is Regression
    np.testing.assert_allclose(again(observation()), policy(observation()), atol=1e-6)

    residuals = torch.randn(60, 4, 5, generator=torch.Generator().manual_seed(1))
    gaussian = GaussianRegression(regression, residuals)
    gaussian.save_pretrained(tmp_path / "gaussian")
    again = Policy.from_pretrained(tmp_path / "gaussian")
    assert type(again.model) is GaussianRegression
    np.testing.assert_allclose(again(observation()), Policy(gaussian)(observation()), atol=1e-5)
    assert not np.array_equal(again(observation()), policy(observation()))
    with pytest.raises(ValueError, match="real_time needs a flow model, not a Regression"):
        Policy(regression, execute=2, real_time=True)


def test_training_leaves_what_the_data_say_in_the_model():
    class Told(Chunks):
        def about(self):
            return {"cameras": ["top"], "fps": 5.0}

    fitted = Pi0(TINY)
    fitted.about = ABOUT
    train.fit(fitted, Told(), steps=1, progress=False)
    assert fitted.about == {"cameras": ["top"], "fps": 5.0}
    train.fit(fitted, Chunks(), steps=1, progress=False)
    assert fitted.about is None, "what it came with belonged to other data"


def test_lerobots_configuration_is_read_into_the_same_words(tmp_path):
    model().save_pretrained(tmp_path, "lerobot")
    weights = tmp_path / "model.safetensors"
    bare = weights.read_bytes()  # as LeRobot writes it: without our metadata
    size = int.from_bytes(bare[:8], "little")
    header = json.loads(bare[8 : 8 + size])
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header).encode()
    weights.write_bytes(len(text).to_bytes(8, "little") + text + bare[8 + size :])
    config = json.loads((tmp_path / "config.json").read_text())
    features = {name: {"type": "VISUAL", "shape": [3, 8, 8]} for name in ABOUT["cameras"]}
    config["input_features"] = features | {"observation.state": {"type": "STATE", "shape": [3]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    about = Pi0.from_pretrained(tmp_path).about
    assert about["cameras"] == ABOUT["cameras"] and about["unsupported"] == []
    config["use_relative_actions"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    about = Pi0.from_pretrained(tmp_path).about
    assert "relative_actions" not in about, "the processors run, and theirs says no"
    for file in tmp_path.glob("policy_p*"):
        file.unlink()
    assert Pi0.from_pretrained(tmp_path).about["relative_actions"] == [True, True]
    del config["output_features"]  # of how many actions?
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="use_relative_actions .of how many actions is not said"):
        Policy.from_pretrained(tmp_path, stats=STATS)


def test_what_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="about must hold plain values"):
        model().save_pretrained(tmp_path, about={"model": torch.zeros(1), "x": {1, 2}})


def test_options_may_change_between_calls():
    policy = Policy(model(), execute=2, real_time=True)
    policy(observation())
    policy.act(observation())
    policy.act()
    policy.execute, policy.steps = 4, 1
    assert policy(observation()).shape == (4, 2)
    assert policy.needs_observation
    policy.act(observation())
    assert not policy.needs_observation, "the queue keeps its length until the next reset"


@pytest.mark.parametrize("kind", [GiantDecoder, Insulated])
def test_a_road_beside_the_vlm_acts_from_its_folder(kind, tmp_path):
    torch.manual_seed(0)
    made = kind(CONFIG)
    made.save_pretrained(tmp_path, stats=STATS, about=ABOUT)
    assert type(Policy.from_pretrained(tmp_path).model) is kind
