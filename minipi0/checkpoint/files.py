"""Files that are complete or not there, and safetensors written tensor by tensor."""

import json
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

# safetensors' names
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
}


def write_tensors(
    path: Path, state: dict[str, Tensor], metadata: dict[str, str], value=None
) -> None:
    """Write a safetensors file tensor by tensor.

    value: a function of the name that gives the tensor to write, where `state` holds only its shape
        and dtype. Without it, `state` holds the tensors themselves.

    safetensors' own save_file refuses views of one matrix, wants all tensors in the CPU's memory at
    once, and shuffles the metadata.
    """
    codes = {dtype: code for code, dtype in DTYPES.items()}
    # widest dtype first: all tensors stay aligned
    names = sorted(state, key=lambda name: (-state[name].itemsize, name))
    header: dict = {"__metadata__": metadata}
    end = 0
    for name in names:
        shape, code = list(state[name].shape), codes[state[name].dtype]
        begin, end = end, end + state[name].nbytes
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            tensor = (value(name) if value else state[name]).cpu().contiguous()
            file.write(memoryview(tensor.flatten().view(torch.uint8).numpy()))
            del tensor  # free it before the next one is made


def write_atomically(path: Path, write) -> None:
    """Call write(temporary path), then put the result in place of `path` in one step.

    A failure leaves what was there.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(temporary))
        os.chmod(temporary, 0o644)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # the new name must not reach the disk before the bytes
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def incomplete(file: Path, error: Exception) -> ValueError:
    """The error to raise for a safetensors file that is not readable."""
    return ValueError(
        f"{file} is not a complete safetensors file ({error}): was its download or copy cut short?"
    )
