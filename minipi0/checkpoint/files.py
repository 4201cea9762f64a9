"""Files that are complete or not there, and safetensors written tensor by tensor.

What is written carries checksums, by which changed bytes are noticed. They stand in the file's
metadata, as CHECKSUMS: eight hexadecimal digits for the rest of the metadata, then eight for every
tensor, in the order of the names. Other software ignores them. They find faults of disks and
copies; who changes a file on purpose can write new ones.
"""

import json
import os
import tempfile
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

# safetensors' names
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
}
CHECKSUMS, DIGITS = "checksums", 8


def write_tensors(
    path: Path, state: dict[str, Tensor], metadata: dict[str, str], value=None
) -> None:
    """Write a safetensors file tensor by tensor, with checksums.

    value: a function of the name that gives the tensor to write, where `state` holds only its shape
        and dtype. Without it, `state` holds the tensors themselves.

    safetensors' own save_file refuses views of one matrix, wants all tensors in the CPU's memory at
    once, and shuffles the metadata.
    """
    codes = {dtype: code for code, dtype in DTYPES.items()}
    # widest dtype first: all tensors stay aligned
    names = sorted(state, key=lambda name: (-state[name].itemsize, name))
    found = {"": _of_metadata(metadata)} | dict.fromkeys(sorted(names), "0" * DIGITS)
    header: dict = {"__metadata__": metadata | {CHECKSUMS: "".join(found.values())}}
    end = 0
    for name in names:
        shape, code = list(state[name].shape), codes[state[name].dtype]
        begin, end = end, end + state[name].nbytes
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    with open(path, "wb") as file:
        file.write(_packed(header))  # its length stays, whatever the checksums will be
        for name in names:
            tensor = (value(name) if value else state[name]).cpu().contiguous()
            found[name] = _checksum(name, tensor)
            file.write(_bytes(tensor))
            del tensor  # free it before the next one is made
        header["__metadata__"][CHECKSUMS] = "".join(found.values())
        file.seek(0)
        file.write(_packed(header))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file and its metadata, compared to its checksums.

    `write_tensors(new, *read_tensors(old))` gives a file of other software checksums. The tensors
    are the mapped file itself: write over it only as `write_atomically` does.
    Raises ValueError for a file that is not complete, or not as it was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(sorted((file.metadata() or {}).items()))  # they come in any order
            keys = sorted(file.keys())
            tensors = {key: file.get_tensor(key) for key in keys}
    except (SafetensorError, RuntimeError) as error:
        raise incomplete(path, error) from error
    noted = checksums(path, metadata, keys)
    for key, tensor in tensors.items():
        check_bytes(path, key, tensor, noted)
    return tensors, _rest(metadata)


def without_checksums(path: Path) -> bytes:
    """The bytes that a safetensors file would have without its checksums.

    By them results are known: a file that is given checksums is still the same weights.
    Raises ValueError for a file that is not complete.
    """
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    try:
        header = parsed(whole[8:end])
        metadata = header.get("__metadata__", {})
    except (ValueError, AttributeError) as error:
        raise incomplete(path, error) from error
    if CHECKSUMS not in metadata:
        return whole
    return _packed(header | {"__metadata__": _rest(metadata)}) + whole[end:]


def checksums(path: Path, metadata: dict[str, str] | None, keys: list[str]) -> dict[str, str]:
    """The checksums that a file carries, by its tensors' names; {} where it carries none.

    metadata, keys: the file's own. Raises ValueError where the metadata are not as written.
    """
    if not metadata or CHECKSUMS not in metadata:
        return {}
    digits = metadata[CHECKSUMS]
    parts = [digits[i : i + DIGITS] for i in range(0, len(digits), DIGITS)]
    if len(parts) != len(keys) + 1 or parts[0] != _of_metadata(_rest(metadata)):
        raise _changed(path, "its metadata (sizes, statistics, …) or its list of tensors")
    return dict(zip(sorted(keys), parts[1:], strict=True))


def check_bytes(path: Path, name: str, tensor: Tensor, noted: dict[str, str]) -> None:
    """Raise ValueError unless a whole tensor of a file has its checksum. noted: all of them."""
    if noted and _checksum(name, tensor) != noted[name]:
        raise _changed(path, name)


def parsed(text: str | bytes):
    """The value of a JSON text. Raises ValueError, also for endless nesting."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def write_atomically(path: Path, write) -> None:
    """Call write(temporary path), then put the result in place of `path` in one step.

    A failure leaves what was there. An OSError (a full disk) names `path`.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(temporary))
        os.chmod(temporary, 0o644)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # the new name must not reach the disk before the bytes
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise
    finally:
        Path(temporary).unlink(missing_ok=True)


def _checksum(name: str, tensor: Tensor) -> str:
    """The CRC-32 of a tensor's name, dtype, shape and bytes, in DIGITS hexadecimal digits."""
    said = f"{name} {tensor.dtype} {list(tensor.shape)}".encode()
    return f"{zlib.crc32(_bytes(tensor), zlib.crc32(said)):08x}"


def _rest(metadata: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in metadata.items() if name != CHECKSUMS}


def _of_metadata(metadata: dict[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(sorted(metadata.items())).encode()):08x}"


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.contiguous().flatten().view(torch.uint8).numpy())


def _packed(header: dict) -> bytes:
    """A safetensors file up to its first tensor: the header's length, and the header."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _changed(file: Path, what: str) -> ValueError:
    return ValueError(
        f"{file}: {what} changed since it was saved (its checksum is another one): was the file "
        "only half written, or damaged on its disk or in a copy? Take another copy, or save again"
    )


def incomplete(file: Path, error: Exception) -> ValueError:
    """The error to raise for a safetensors or JSON file that is not readable."""
    with file.open("rb") as stream:
        if stream.read(23) == b"version https://git-lfs":
            return ValueError(
                f"{file} is a Git LFS pointer, not the file itself: run `git lfs pull` there"
            )
    if file.suffix == ".json":
        return ValueError(f"{file} is not readable as JSON: {error}")
    return ValueError(
        f"{file} is not a complete safetensors file ({error}): was its download or copy cut short?"
    )
