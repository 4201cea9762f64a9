"""MaskExplorer: the browser's mask is pi0.block_mask, and ten passes compute the prefix once."""

import itertools
import json

import torch
from browser import blank_page, mount, needs_chromium
from test_widgets import run_js
from torch.utils.flop_counter import FlopCounterMode

from minipi0 import Observation, Pi0, Pi0Config
from minipi0.pi0 import block_mask
from minipi0.widgets import MaskExplorer


def test_js_mask_is_block_mask():
    switches = [
        dict(zip(("camera", "padding", "causal"), on, strict=True))
        for on in itertools.product((True, False), repeat=3)
    ]
    code = f"""const result = {json.dumps(switches)}.map((chosen) => {{
        const row = tokenRow(chosen); return {{ row, mask: blockMask(row) }}; }});"""
    for chosen, js in zip(switches, run_js(code, "block_mask.js"), strict=True):
        prefix, actions = 4 + 4 + 5 + 2, 5
        starts = [0] * prefix + [1] + ([1] * actions if chosen["causal"] else [1, 0, 0, 0, 0])
        valid = torch.ones(1, len(starts), dtype=torch.bool)
        valid[0, 4:8] = chosen["camera"]
        valid[0, 13:15] = not chosen["padding"]
        assert torch.equal(
            torch.tensor(js["mask"]), block_mask(torch.tensor(starts).bool(), valid)[0]
        )
        assert [token["prefix"] for token in js["row"]] == [i < prefix for i in range(len(starts))]


def test_the_count_is_that_of_the_real_model():
    """On the meta device attention runs as two products, which the counter sees."""
    config, cameras, length = Pi0Config.full(), 3, 48
    with torch.device("meta"), torch.no_grad():
        model = Pi0(config)
        side = config.vision.image_size
        images, seen = torch.empty(1, cameras, 3, side, side), torch.ones(1, cameras).bool()
        text, state = torch.ones(1, length).long(), torch.empty(1, config.state_dim)
        observation = Observation(images, seen, text, text.bool(), state)
        chunk = torch.empty(1, config.horizon, config.action_dim)
        with FlopCounterMode(display=False) as prefix:
            encoded = model.encode(observation)
        with FlopCounterMode(display=False) as step:
            model.decode(encoded, state, chunk, torch.empty(1, config.action_expert.width))
    w, operation = MaskExplorer(), torch.ops.aten.bmm
    attention = [count.get_flop_counts()["Global"][operation] for count in (prefix, step)]
    # twice a multiplication and an addition per query, key and number of a head
    vision, vlm, tokens = config.vision, config.vlm, cameras * config.vision.tokens + length
    width, suffix = vlm.num_heads * vlm.head_dim, 1 + config.horizon
    in_images = cameras * vision.depth * 4 * vision.tokens**2 * vision.width
    in_prefix = (vlm.depth - 1) * 4 * tokens**2 * width  # nobody reads the last layer's output
    in_step = vlm.depth * 4 * suffix * (tokens + suffix) * width
    assert attention == [in_images + in_prefix, in_step]
    shown = [w.prefix_tflop, w.step_tflop, w.prefix_attention_tflop, w.step_attention_tflop]
    counted = [prefix.get_total_flops(), step.get_total_flops(), *attention]
    assert shown == [round(flops / 1e12, 4) for flops in counted]


@needs_chromium
def test_hover_switches_and_passes():
    with blank_page() as page:
        mount(page, MaskExplorer(prefix_tflop=4.0, step_tflop=0.05, step_attention_tflop=0.01))
        numbers = lambda: page.locator("td + td").all_inner_texts()  # noqa: E731
        status = page.locator("p[role=status]")
        canvas = page.locator("canvas")
        canvas.focus()
        for _ in range(16):
            page.keyboard.press("ArrowDown")
        page.wait_for_function("document.querySelector('.m0 td + td').textContent === 'state'")
        assert numbers()[1:3] == ["14 tokens", "6 tokens"]
        assert status.inner_text().startswith("State attends to camera 1, camera 2, text and state")
        page.get_by_label("camera 2").uncheck()
        page.wait_for_function(
            "document.querySelectorAll('.m0 td + td')[1].textContent === '10 tokens'"
        )
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
        page.wait_for_function("document.querySelector('.m0 td + td').textContent === 'action 5'")
        assert numbers()[2] == "5 tokens"
        page.get_by_label("causal").check()
        page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3)
        page.wait_for_function(
            "document.querySelectorAll('.m0 td + td')[2].textContent === '1 token'"
        )
        before = page.evaluate("picture()")
        for n in range(1, 11):
            page.get_by_role("button", name=f"Euler pass {n}", exact=True).press("Enter")
        page.wait_for_function("model.get('passes') === 10")
        page.wait_for_function("before => picture() !== before", arg=before)
        page.get_by_text("40.50 TFLOP").wait_for()
        assert numbers()[3:] == ["4.50 TFLOP", "0.22 TFLOP", "40.50 TFLOP", "1.27 TFLOP"]
        assert "kept" in status.inner_text()
        page.get_by_label("keep the prefix").uncheck()
        page.get_by_text("computes the prefix again").wait_for()
        page.get_by_role("button", name="Start again").press("Space")
        assert page.evaluate("model.get('passes')") == 0
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        assert page.errors == []
