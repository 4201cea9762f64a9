"""Files that are complete or not there: safetensors written tensor by tensor, and anything put in place in one step."""

import json
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
}  # safetensors' names


def write_tensors(
    path: Path, state: dict[str, Tensor], metadata: dict[str, str], value=None
) -> None:
    """A safetensors file, written tensor by tensor. value(name): the tensor to write, where `state` holds only its shape and dtype.

    safetensors' own save_file refuses views of one matrix, wants all tensors in the CPU's memory at once, and shuffles the metadata.
    """
    codes = {dtype: code for code, dtype in DTYPES.items()}
    names = sorted(
        state, key=lambda name: (-state[name].itemsize, name)
    )  # widest first: all stay aligned
    header: dict = {"__metadata__": metadata}
    end = 0
    for name in names:
        begin, end = end, end + state[name].nbytes
        header[name] = {
            "dtype": codes[state[name].dtype],
            "shape": list(state[name].shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(
                memoryview(
                    (value(name) if value else state[name])
                    .cpu()
                    .contiguous()
                    .flatten()
                    .view(torch.uint8)
                    .numpy()
                )
            )


def write_atomically(path: Path, write) -> None:
    """Call write(temporary path), then put the result in place of `path` in one step. A failure leaves what was there."""
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
    return ValueError(
        f"{file} is not a complete safetensors file ({error}): was its download or copy cut short?"
    )
