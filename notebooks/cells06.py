md("title", r"""
# 06 · Why a separate expert?

**The question:** π0 could have put its action tokens into the VLM, as words. Its authors gave the actions an expert of their own instead. What does that buy?

After this notebook you can

- say in one sentence what the five usual ways to put actions beside a VLM are, and which line of code each changes,
- say, with numbers and intervals, how each of them acts, what it does with words that no demonstrator said, and what is left of the VLM,
- say what an action expert saves at run time, and why this matters more for ten Euler steps than for one,
- show what breaks when the picture may look at the actions, and what happens to a VLM that suddenly sees the robot's state.

| | |
|---|---|
| Runs | about a minute on a laptop CPU. The trainings were made by one command, `python notebooks/measure_06.py`, and are read from a file |
| Reads | about 40 minutes, with the exercises an hour |
| Builds on | [05 · Two experts](05_two_experts.ipynb), [03 · Why τ](03_why_tau.ipynb) |
| At hand | [cheat sheet](01_straight_lines.ipynb#Cheat-sheet), [glossary](01_straight_lines.ipynb#Glossary) |
""")
code("setup", r"""
import json

import gymnasium
import matplotlib.pyplot as plt
import torch

import measure_06 as study  # beside this notebook: the command that trained the five roads
from minipi0 import Pi0, flow, prompt, vlm
from minipi0.baselines import GiantDecoder, Insulated
from minipi0.evaluate import paired_interval, success_interval
from minipi0.exercises import check
from minipi0.gemma import attend, rotary_table
from minipi0.observation import Observation
from minipi0.pi0 import block_mask, time_embedding
from minipi0.plots import separate_expert as draw
from minipi0.robot import pretrain, questions, touch

torch.manual_seed(0)
torch.set_num_threads(1);
""")
md("claim", r"""
## 1 · A claim that can be tested

The authors of π0 give two reasons for the separate expert. The VLM was pre-trained on pictures and text, and robot actions look like nothing it has seen. If actions go through its own weights, training on them changes those weights, and what the VLM knew may be lost. And an expert can be small: the VLM runs once per observation, the expert ten times.

The paper does not test this at a size that a reader can repeat. We do. We need three things: a VLM that knows something, robot data that does not show all of it, and a robot that can be asked.

**The table.** Three things lie on it. An instruction names one of them: "touch the red ball". A name is a colour and a shape: 8 colours, 3 shapes, 24 names.

- 8 names are **trained**: demonstrators ask for them.
- 4 names are **new pairs**: demonstrators use the colour word and the shape word, never together.
- 12 names are **new colours**: no demonstrator ever says the colour. Things of these colours lie on the table in every second demonstration, but nobody talks about them.
""")
code("table", r"""
env = gymnasium.make("minipi0/Touch-v0", names=touch.NAMES, pictures=False, disable_env_checker=True)
shown, asked = [], []
for seed in range(5):
    env.reset(seed=seed)
    shown.append(env.unwrapped.render(size=256))
    asked.append(env.unwrapped.prompt)
draw.tables(shown, asked)
plt.show()
for group, names in study.GROUPS.items():
    print(f"{group:12} {len(names):2} names: {', '.join(names)}")
""")
md("vlm", r"""
**A VLM that knows all 24 names.** It is the prefix half of our own `Pi0`: vision tower, projector, embedding and the VLM's layers, 0.6 million parameters. It was pre-trained by one command, `python -m minipi0.robot.pretrain`, as PaliGemma was: first the vision tower alone, then all of it on questions about 8,000 pictures of the table. It answers in words, and it points with *location tokens*: `<loc12> <loc07>` is a row and a column, each in 32 parts. PaliGemma does the same with 1,024 parts.

The pictures below are new to it.
""")
code("ask", r"""
mind = Pi0.from_paligemma(study.VLM, action_expert=pretrain.EXPERT, action_dim=4, state_dim=4, horizon=8, dtype=torch.float32)
env.reset(seed=3)
picture = torch.from_numpy(env.unwrapped.render())[None]
here = [thing.name for thing in env.unwrapped.things]
texts = [f"find the {here[0]}", f"find the {here[1]}", f"is there a {here[2]}", "is there a purple ball", "count the balls"]
for text in texts:
    (answer,) = vlm.reply(mind, questions.observe(picture, [text]))
    print(f"{text:28} {answer}")
print("on the table:", ", ".join(here))
""")
code("skill", r"""
new_pictures = questions.photograph(range(60), seed=pretrain.HELD_OUT, progress=False)  # nothing was trained on these
right = questions.score(mind, new_pictures, torch.arange(0, len(new_pictures), 2))
before = json.loads(study.BEFORE.read_text())["skill"]  # the same on 500 pictures
for kind, (good, count) in before.items():
    rate, low, high = success_interval(good, count)
    print(f"{kind:6} {rate:6.1%}  ({low:.1%} to {high:.1%}) on 500 new pictures;  now, on 60: {sum(right[kind])} of {len(right[kind])}")
before = {kind: good / count for kind, (good, count) in before.items()}
""")
md("roads", r"""
## 2 · Five roads, one line each

All roads start from this VLM, with the same demonstrations, the same recipe (1,500 steps of 32 chunks, three seeds), and pi0's mask, positions and loss. They differ in which weights the action tokens use, and in what the VLM learns meanwhile.

| road | the line that makes it | the VLM learns from |
|---|---|---|
| **separate expert** (π0) | – | the actions |
| **one giant decoder** | `self.experts.action = self.experts.vlm` | the actions, which go through its own weights |
| **frozen VLM** | `weights.requires_grad_(False)` for the VLM's parts | nothing |
| **gradient stopped, VLM on its questions** | `with torch.no_grad(): return super().encode(observation)` | its own questions alone |
| **both trained on both tasks** | `loss = acted + vlm.loss(model, *questions)` | both |

The fourth road is *knowledge insulation* ([arXiv 2505.23705](https://arxiv.org/abs/2505.23705)), without one part: in the paper the VLM also learns the actions, written as discrete tokens.

The giant decoder is larger where it matters for speed and smaller in all. An action token of the separate expert passes 64-wide layers, one of the giant decoder 96-wide ones. So there is a sixth road to separate the two effects: **a separate expert as wide as the VLM**. It costs the same per token as the giant decoder, and has its own weights.
""")
code("count", r"""
for name, road in study.ROADS.items():
    model = road.model()
    whole = sum(p.numel() for p in model.parameters())
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    per_token = sum(p.numel() for p in model.experts.action.parameters())
    print(f"{name:40} {whole / 1e6:.2f} M parameters, {learned / 1e6:.2f} M learn, an action token passes {per_token / 1e6:.2f} M")
""")
code("identity", r"""
# the giant decoder is a pi0: give a pi0's expert the VLM's weights, and both compute the same
giant = GiantDecoder.from_paligemma(study.VLM, action_dim=4, state_dim=4, horizon=8, dtype=torch.float32)
twin = Pi0(giant.config).eval()
names = {name: name.replace("experts.action.", "experts.vlm.") for name in twin.state_dict()}
twin.load_state_dict({name: giant.state_dict()[shared] for name, shared in names.items()})
observation = questions.observe(picture, ["touch the red ball"])
noise = torch.randn(1, 8, 4)
with torch.no_grad():
    apart = (giant.velocity(observation, noise, 0.3) - twin.velocity(observation, noise, 0.3)).abs().max()
print(f"largest difference of the velocities: {apart:.0e}")
assert apart < 1e-5
""")
md("predict", r"""
**Predict first.** Which road learns to act fastest? Which one touches things whose colour no demonstrator named? And what is left of the VLM's answers after 1,500 steps without a question? Write three names down.
""")
code("results", r"""
results = json.loads(study.RESULTS.read_text())
found = {}
for key, result in results.items():
    found.setdefault(key.rsplit(", seed ", 1)[0], []).append(result)
found = {name: found[name] for name in study.ROADS}
draw.roads(found, before)
plt.show()
""")
code("table-of-roads", r"""
print(f"{'':40}" + "".join(f"{group:>18}" for group in draw.GROUPS) + f"{'find':>8}{'energy score':>22}")
for name, seeds in found.items():
    cells = []
    for group in draw.GROUPS:
        counts = [draw.share(result, group) for result in seeds]
        rate, low, high = success_interval(sum(k for k, _ in counts), sum(n for _, n in counts))
        cells.append(f"{rate:5.0%} ({low:3.0%}-{high:4.0%})")
    skill = sum(draw.right(result, "find") for result in seeds) / len(seeds)
    energy, half = draw.mean_of(seeds, lambda result: list(result["energy"].values())[-1])
    print(f"{name:40}" + "".join(f"{cell:>18}" for cell in cells) + f"{skill:8.0%}{energy:13.3f} ± {half:.3f}")
print(f"\n{len(seeds)} trainings each, {sum(n for _, n in counts) // len(seeds)} trials per training and group; success with Wilson's 95 % interval,")
print("the energy score of held-out chunks with the 95 % interval over trainings (lower is better)")
""")
md("results-read", RESULTS_READ)
code("paired", r"""
def paired(road, other, group):
    # trials of equal seeds, in pairs: the difference of two roads in points, with its 95 % interval
    a, b = ({(i, row[0]): row[1] for i, r in enumerate(found[name]) for row in r["trials"][group]} for name in (road, other))
    only_a, only_b = sum(a[s] > b[s] for s in a), sum(a[s] < b[s] for s in a)
    return [100 * x for x in paired_interval(only_a, only_b, len(a))]


for group in draw.GROUPS:
    for other in list(found)[1:]:
        difference, low, high = paired("separate expert", other, group)
        print(f"{group:12} separate expert minus {other:40} {difference:+6.1f} points ({low:+.1f} to {high:+.1f})")
    print()
""")
md("paired-read", PAIRED_READ)
md("cost", r"""
## 3 · The expert is small because it runs ten times

The VLM reads the observation once. Then the action tokens run through their layers once per Euler step. So the width of *their* layers is paid ten times, and the VLM's width once.
""")
code("cost-measured", r"""
observation = questions.observe(picture, ["touch the red ball"])
noise = torch.randn(1, 8, 4)
costs = {}
for name in ("separate expert", "one giant decoder"):
    model = study.ROADS[name].model().eval()
    with torch.no_grad():
        read = study.median_ms(lambda: model.encode(observation), 31)
        one, ten = (study.median_ms(lambda: model.sample_actions(observation, noise=noise, steps=n), 31) for n in (1, 10))
    costs[name] = read, (ten - one) / 9
    print(f"{name:18} reading the observation {read:5.1f} ms, an Euler step {(ten - one) / 9:4.2f} ms, a chunk of ten steps {ten:5.1f} ms")

full = 1e-6 * torch.tensor([1_981_884_416, 311_464_960])  # parameters of pi0's VLM layers, and of its expert
print(f"\nthe released pi0: an action token passes {full[1]:.0f} M parameters; in a giant decoder it would pass {full[0]:.0f} M, {full[0] / full[1]:.1f} times as many")
""")
md("cost-read", COST_READ)
md("leak", r"""
## 4 · What breaks if the picture may look at the actions?

In pi0's mask no picture token and no word attends to a state or an action. The giant decoder of this notebook keeps that mask. A reader may ask why: in a language model an image token may well see what comes after it.

Let us allow it. With this mask the VLM's keys and values depend on the noisy actions, and these change at every Euler step. Training computes everything in one piece, so training does not notice. Cached sampling computes the prefix once, before there are actions. So training and sampling compute two different functions.
""")
code("leak-run", r"""
def in_one_piece(model, observation, noisy, tau, leak):
    # the velocity with all tokens in one attention; leak: the prefix attends to the suffix too
    prefix, valid = model.embed_prefix(observation)
    time = time_embedding(torch.tensor([tau], dtype=torch.float64), model.config.action_expert.width)
    suffix = model.embed_suffix(observation.state, noisy, time)
    p, s = prefix.shape[1], suffix.shape[1]
    valid = torch.nn.functional.pad(valid, (0, s), value=True)
    starts = torch.zeros(p + s, dtype=torch.bool)
    starts[p : p + 2] = True
    mask = block_mask(starts, valid)
    if leak:
        mask[:, :p] = valid[:, None] & valid[:, :p, None]
    table = rotary_table(valid.cumsum(1) - 1, model.config.vlm.head_dim)
    cut = [tuple(t[:, :, part] for t in table) for part in (slice(0, p), slice(p, None))]
    for a, b in zip(model.experts.vlm.layers, model.experts.action.layers):
        both = zip(a.project(prefix, cut[0]), b.project(suffix, cut[1]))
        q, k, v = (torch.cat(pair, dim=2) for pair in both)  # one row of tokens
        mixed = attend(q, k, v, mask)
        prefix, suffix = a.finish(prefix, mixed[:, :p]), b.finish(suffix, mixed[:, p:])
    return model.action_out_proj(model.experts.action.norm(suffix)[:, 1:])


for name in ("separate expert", "one giant decoder"):
    model = study.ROADS[name].model().eval()
    with torch.no_grad():
        cached = model.velocity(observation, noise, 0.5)
        size = cached.square().mean().sqrt()
        for leak in (False, True):
            gap = (in_one_piece(model, observation, noise, 0.5, leak) - cached).square().mean().sqrt() / size
            print(f"{name:18} {'the prefix sees the actions' if leak else 'pi0 mask':28} one piece and cached differ by {gap:.1e} of the velocity")
            assert (gap > 1e-3) if leak else (gap < 1e-5)
""")
md("leak-read", LEAK_READ)
md("state", r"""
## 5 · Why must the picture not see the state?

The state has a block of its own: the actions see it, the pictures and words do not. With the cache this has nothing to do, for the state is known before the first Euler step. The reason is the VLM: in its pre-training there was no such token.

**Predict first.** We add one token with the robot's state to the VLM's block, so that every picture token and word attends to it. Its weights are fresh, as at the start of robot training. What happens to the VLM's answers?
""")
code("state-run", r"""
class WithState(Pi0):
    # a pi0 whose pictures and words see a state token
    def embed_prefix(self, observation):
        tokens, valid = super().embed_prefix(observation)
        pictures = observation.image_mask.shape[1] * self.config.vision.tokens
        state = self.fresh(observation.state)[:, None]  # (B, 1, W)
        tokens = torch.cat([tokens[:, :pictures], state, tokens[:, pictures:]], dim=1)
        return tokens, torch.nn.functional.pad(valid, (1, 0), value=True)


def asked_with_state(scale):
    # the share of right answers when the state token is `scale` times as large as a picture token
    model = WithState.from_paligemma(study.VLM, action_expert=pretrain.EXPERT, action_dim=4, state_dim=4, horizon=8, dtype=torch.float32)
    torch.manual_seed(0)
    model.fresh = torch.nn.Linear(4, model.config.vlm.width)
    with torch.no_grad():
        pixels, _ = Pi0.embed_prefix(model, questions.observe(picture, ["find the red ball"]))
        typical = pixels[:, : model.config.vision.tokens].square().mean().sqrt()
        model.fresh.weight.mul_(0)
        model.fresh.bias.copy_(scale * typical * torch.randn(model.config.vlm.width))
    return score_with(model)


def score_with(model):
    marks = questions.score(model, new_pictures, torch.arange(0, len(new_pictures), 2))
    return {kind: sum(found) / len(found) for kind, found in marks.items()}


print("without the token:      ", {kind: f"{share:.0%}" for kind, share in score_with(mind).items()})
for scale in (1, 3):
    print(f"with it, {scale} times as large:", {kind: f"{share:.0%}" for kind, share in asked_with_state(scale).items()})
""")
md("state-read", STATE_READ)
md("takeaways", TAKEAWAYS)
md("exercises", r"""
## Exercises
""")
md("ex-06-1", r"""
**06.1 · Count.** The released π0 samples with ten Euler steps. Through how many million parameters of transformer layers does an action token run in *one* Euler step: with π0's expert, and in a giant decoder of the same VLM? ([Notebook 05](05_two_experts.ipynb) has the sizes; count layers and the final norm, not the embedding table.)
""")
code("try-06-1", r"""
answer_1 = ...  # (with the expert, in a giant decoder), in millions
""")
code("check-06-1", """check("06.1", answer_1);""")
code("solution-06-1", r"""
# Solution 06.1
from minipi0 import Pi0Config

with torch.device("meta"):  # the shapes of 3.2 billion parameters, without the memory
    released = Pi0(Pi0Config.full())
solution_1 = [sum(p.numel() for p in expert.parameters()) / 1e6 for expert in (released.experts.action, released.experts.vlm)]
assert check("06.1", solution_1)
print(f"{solution_1[0]:.1f} M and {solution_1[1]:.1f} M; ten steps of 51 tokens cost {10 * 51 * 2 * solution_1[1] / 1e6:.1f} TFLOP instead of {10 * 51 * 2 * solution_1[0] / 1e6:.2f}")
""",["solution"])
md("ex-06-2", r"""
**06.2 · Change the code.** Knowledge insulation can be written in another way: run the VLM with gradients, and cut them at the cache. Write a function that takes the cache (a list of keys and values, a pair per layer) and returns one through which no gradient flows back. What does this version allow that `torch.no_grad()` does not?
""")
code("try-06-2", r"""
def insulate(cache):
    return ...


answer_2 = ...  # insulate
""")
code("check-06-2", """check("06.2", answer_2);""")
code("solution-06-2", r"""
# Solution 06.2
def solution_2(cache):
    return [(k.detach(), v.detach()) for k, v in cache]


assert check("06.2", solution_2)
print("The VLM's own output keeps its gradient. One pass of the VLM can then serve both losses: its questions and the actions.")
""",["solution"])
md("ex-06-3", r"""
**06.3 · Bug hunt.** A colleague wants road three, the frozen VLM. The robot learns to touch things, and the VLM's answers get worse all the same. The function has one fault. Find out what still changes, and repair it.
""")
code("try-06-3", r"""
def freeze_vlm(model):
    for weights in model.experts.vlm.parameters():
        weights.requires_grad_(False)


def what_learns(freeze):
    model = study.ROADS["separate expert"].model()
    freeze(model)
    return sorted({name.split(".")[0] for name, weights in model.named_parameters() if weights.requires_grad})


print(what_learns(freeze_vlm))

answer_3 = ...  # your repaired freeze_vlm
""")
code("check-06-3", """check("06.3", answer_3);""")
code("solution-06-3", r"""
# Solution 06.3
def solution_3(model):
    for part in (model.vision, model.projector, model.embedding, model.experts.vlm):  # what came with the VLM
        for weights in part.parameters():
            weights.requires_grad_(False)


assert check("06.3", solution_3)
print(what_learns(solution_3))
print("A VLM is more than its layers: its eye, its projector and its words learned on, and the frozen layers got inputs they were never trained for.")
""",["solution"])
md("ex-06-4", r"""
**06.4 · Read the trials.** With names of new colours, by how many points does the separate expert succeed more often than the giant decoder (negative: less often), and what is the 95 % interval? The trials of both have equal seeds; `results` holds them as `[seed, success, touched another thing, frames]`.
""")
code("try-06-4", r"""
answer_4 = ...  # (difference in points, lower end, upper end)
""")
code("check-06-4", """check("06.4", answer_4);""")
code("solution-06-4", r"""
# Solution 06.4
solution_4 = paired("separate expert", "one giant decoder", "new colours")
assert check("06.4", solution_4)
print("{:+.1f} points, 95 % interval {:+.1f} to {:+.1f}".format(*solution_4))
""",["solution"])
md("next", r"""
## What is next

[07 · Standing on a VLM](07_standing_on_a_vlm.ipynb) asks what the pre-training itself buys: the same policy from scratch and from this VLM, with 1 to 50 demonstrations per name.
""")
