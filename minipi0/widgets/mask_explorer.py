"""Which token attends to which, and what ten Euler passes compute anew (notebook 05)."""

import traitlets

from minipi0.widgets.base import Canvas, browser_code


class MaskExplorer(Canvas):
    """Point at a token: see to which tokens it attends, and which attend to it.

    Switch a camera, the padding or the causal mask; step through ten Euler passes and watch that
    the prefix is computed once. `w = MaskExplorer()`; then `w.causal = True; w.passes = 3`.

    Traits, to read and to set:
    camera, padding: whether camera 2 is there; whether the text is shorter than its places
    causal: actions attend to earlier actions only (pi0's do not)
    cache: whether keys and values of the prefix are kept between the passes
    passes: Euler passes so far, 0 to 10
    token: the token that was clicked last, -1 for none
    prefix_tflop, step_tflop: the arithmetic of the prefix and of one Euler pass, all products of
        matrices; by default counted at pi0's full size with 3 cameras and 48 text tokens
    prefix_attention_tflop, step_attention_tflop: attention's part of them, QK^T and AV

    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "block_mask.js", "mask_explorer.js")
    camera = traitlets.Bool(True).tag(sync=True)
    padding = traitlets.Bool(True).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    cache = traitlets.Bool(True).tag(sync=True)
    passes = traitlets.Int(0, min=0, max=10).tag(sync=True)
    token = traitlets.Int(-1, min=-1, max=20).tag(sync=True)
    prefix_tflop = traitlets.Float(3.8164, min=0.0).tag(sync=True)
    step_tflop = traitlets.Float(0.0386, min=0.0).tag(sync=True)
    prefix_attention_tflop = traitlets.Float(0.1172, min=0.0).tag(sync=True)
    step_attention_tflop = traitlets.Float(0.0065, min=0.0).tag(sync=True)
