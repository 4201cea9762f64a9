"""Number formats agree as far as their digits go, gradients are derivatives, training repeats."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numerics
import pytest
import torch
from synthetic import TINY, Chunks, tiny
from torch.autograd import gradcheck
from torch.func import functional_call

from minipi0 import Observation
from minipi0.train import Recipe, fit

# formats and what their errors may be, as root mean squares: four times what was measured
MOST = {
    torch.float32: {"loss": 3e-7, "velocity": 3e-6, "chunk": 1e-6},
    torch.float16: {"loss": 1e-3, "velocity": 5e-3, "chunk": 1.5e-2},
    torch.bfloat16: {"loss": 0.02, "velocity": 0.04, "chunk": 0.06},
}


@pytest.fixture(scope="module")
def errors() -> dict:
    return numerics.errors()


@pytest.mark.parametrize("dtype", MOST)
def test_formats_agree(errors, dtype):
    for name, most in MOST[dtype].items():
        assert 0 < errors[dtype][name] < most, name


def test_more_digits_are_closer(errors):
    for name in ("velocity", "chunk"):
        exact, half, brain = (errors[dtype][name] for dtype in MOST)
        assert exact < half / 50 and half < brain


def test_every_gradient_of_the_whole_model_is_a_derivative():
    """Of the loss, in float64, by every parameter, with cameras, words and steps masked."""
    model = tiny().double()
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    observation = Observation(
        images=random(2, 2, 3, 8, 8).clamp(-1, 1),
        image_mask=torch.tensor([[True, True], [True, False]]),
        tokens=torch.randint(20, (2, 4), generator=generator),
        token_mask=torch.tensor([[True] * 4, [True] * 3 + [False]]),
        state=random(2, TINY.state_dim),
    )
    actions, noise = random(2, 4, 3), random(2, 4, 3)
    given = dict(noise=noise, tau=torch.tensor([0.1, 0.7], dtype=torch.float64))
    given["action_mask"] = torch.tensor([[True] * 4, [True, True, False, False]])
    names, values = zip(*model.named_parameters(), strict=True)

    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self):
            return self.model.loss(observation, actions, **given)

    def loss(*parameters):
        named = {f"model.{name}": value for name, value in zip(names, parameters, strict=True)}
        return functional_call(Loss(), named)

    inputs = tuple(value.detach().requires_grad_() for value in values)
    assert gradcheck(loss, inputs, fast_mode=True, atol=1e-6, rtol=1e-4)


# ---------------------------------------------------------------- the same numbers again

PROGRAM = f"""if True:
    import sys
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    import test_numerics
    print(test_numerics.trained())
"""


def trained() -> str:
    """A fingerprint of everything that a short run computes: losses, weights, a sampled chunk."""
    model = tiny()
    losses = fit(model, Chunks(), recipe=Recipe(steps=5, batch_size=8, warmup=1), progress=False)
    noise = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(2))
    chunk = model.sample_actions(Chunks().batch([0, 1, 2])[0], noise=noise)
    digest = hashlib.sha256(repr(losses).encode())
    for value in (*model.parameters(), chunk):
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()


def test_training_repeats_bit_for_bit():
    """In this process and in another one, whatever was drawn before (same threads and versions)."""
    torch.manual_seed(99)
    first = trained()
    torch.rand(7)
    assert trained() == first
    threads = f"import torch; torch.set_num_threads({torch.get_num_threads()})\n"
    done = subprocess.run(
        [sys.executable, "-c", threads + PROGRAM], capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == first, done.stderr


def test_sampling_repeats_whatever_the_batch_holds():
    """An item's chunk depends on its own noise and observation: to rounding, not to the batch."""
    model, seen = tiny().double().eval(), Chunks().batch(range(5))[0]
    seen.images, seen.state = seen.images.double(), seen.state.double()
    noise = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    together = model.sample_actions(seen, noise=noise)
    for i in range(5):
        alone = model.sample_actions(seen[i : i + 1], noise=noise[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-12)
