"""COMET's regression model, read from its checkpoint by torch and transformers alone.

The package that comes with it asks for other versions of numpy and transformers than everything
else here, see docs/dependencies.md. What it does to score is little: sentences become the means of
a mixture of an XLM-R's layers, and a feed-forward network tells a score from three of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm

from fairseq_gist.errors import CheckpointError, OptionError, shortened
from fairseq_gist.files import missing, read_text, sha256_of
from fairseq_gist.host.torch_files import load_file
from fairseq_gist.host.transformers import require_transformers

__all__ = ["CometEstimator"]

_SUPPORTED = {
    "encoder_model": ("XLM-RoBERTa",),
    "pool": ("avg",),
    "layer": ("mix",),
    "layer_transformation": ("softmax", "sparsemax"),
}
"""Setting of a checkpoint -> what can be computed here."""
_USUAL = {
    "encoder_model": "XLM-RoBERTa",
    "pretrained_model": "xlm-roberta-large",
    "pool": "avg",
    "layer": "mix",
    "layer_transformation": "softmax",
    "layer_norm": True,
    "hidden_sizes": [3072, 1024],
    "activations": "Tanh",
    "final_activation": None,
}
"""What settings are that a checkpoint doesn't have."""
_PATCHED = "sparsemax_patch"
_ROWS = 16
_FEW = 1e-12


class CometEstimator:
    """A COMET that compares translations with references and with what was said.

    Args:
        path: of the folder, with ``hparams.yaml`` and ``checkpoints/model.ckpt``.
        encoder_path: of a folder with the configuration and the tokenizer of its XLM-R; None for
            the one that the settings name, in Hugging Face's cache.
        trust: whether the checkpoint may run what it names.

    Attributes:
        signature: which model it is, to the last bit.

    Raises:
        OptionError: where something is missing, or it is a model of another kind.
        CheckpointError: for a damaged checkpoint.
    """

    def __init__(self, path: Path, encoder_path: Optional[Path], trust: bool = False) -> None:
        self._path = path
        described = self._read_settings(path / "hparams.yaml")
        checkpoint = path / "checkpoints" / "model.ckpt"
        if not checkpoint.is_file():
            raise OptionError(f"--comet-path {path}: {missing(checkpoint)} ({checkpoint})")
        # before a file of gigabytes is read
        transformers = require_transformers("COMET", "XLMRobertaModel", "comet")
        content = load_file(str(checkpoint), trust, "--comet-trust")
        settings = self._settings(described, content)
        name = str(settings["pretrained_model"])
        parts = self._read_encoder(transformers, name, encoder_path)
        self._tokenizer, configuration = parts
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._encoder = transformers.XLMRobertaModel(configuration, add_pooling_layer=False)
        self._estimator = _feed_forward(6 * configuration.hidden_size, settings)
        self._transformation = str(settings["layer_transformation"])
        self._layer_norm = bool(settings["layer_norm"])
        self._load(content["state_dict"], configuration.num_hidden_layers + 1)
        # the package leaves as much room, which matters where long texts are cut off
        self._longest = int(configuration.max_position_embeddings) - 4
        self._known: Dict[str, Tensor] = {}
        self.signature = f"regression_metric|encoder:{name}|sha256:{sha256_of(checkpoint)[:12]}"

    def scores(
        self, sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
    ) -> List[float]:
        """Return the score of every hypothesis, `[sentences]`."""
        self._embed({*sources, *hypotheses, *references})
        found: List[float] = []
        for start in range(0, len(hypotheses), 1024):
            rows = slice(start, start + 1024)
            source, hypothesis, reference = (
                torch.stack([self._known[text] for text in texts[rows]]).to(self._device)
                for texts in (sources, hypotheses, references)
            )
            compared = [
                hypothesis,
                reference,
                hypothesis * reference,
                (hypothesis - reference).abs(),
                hypothesis * source,
                (hypothesis - source).abs(),
            ]
            with torch.no_grad():
                found += self._estimator(torch.cat(compared, dim=1)).view(-1).tolist()
        return found

    def _embed(self, texts: Any) -> None:
        """Have the embedding of every text: what one system has in common with others once."""
        todo = [text for text in texts if text not in self._known]
        todo.sort(key=lambda text: (len(text), text))
        starts = range(0, len(todo), _ROWS)
        for start in tqdm(starts, desc="COMET", unit="batch", disable=None, delay=2, leave=False):
            batch = todo[start : start + _ROWS]
            self._known.update(zip(batch, self._embeddings(batch)))

    @torch.no_grad()
    def _embeddings(self, texts: List[str]) -> Tensor:
        """Return the embeddings of some texts, `[texts, channels]`, on the CPU."""
        made = self._tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=self._longest
        )
        ids = made["input_ids"].to(self._device)
        mask = made["attention_mask"].to(self._device)
        layers = self._encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        shown = mask.unsqueeze(-1).to(layers[0].dtype)
        if self._layer_norm:
            layers = [_normalised(layer, shown) for layer in layers]
        mixed = self._gamma * sum(weight * layer for weight, layer in zip(self._weights, layers))
        return ((mixed * shown).sum(1) / shown.sum(1)).cpu()

    # -- reading ------------------------------------------------------------------------------

    def _read_settings(self, file: Path) -> Mapping[str, Any]:
        if not file.is_file():
            found = "it has no hparams.yaml" if self._path.is_dir() else "there is no such folder"
            self._refuse(f"{found}; expected the folder of a COMET, as Unbabel publishes them")
        try:
            found = yaml.safe_load(read_text(file))
        except yaml.YAMLError as error:
            raise OptionError(f"{file}: no YAML ({shortened(error, 100)})") from None
        kind = found.get("class_identifier") if isinstance(found, dict) else None
        if kind != "regression_metric":
            self._refuse(
                f"expected a COMET that compares with references ('regression_metric', such as "
                f"wmt22-comet-da), found '{kind}'"
            )
        return dict(found)

    def _settings(self, described: Mapping[str, Any], content: Any) -> Dict[str, Any]:
        """Return the model's settings: those in the checkpoint count, as in the package."""
        state = content.get("state_dict") if isinstance(content, dict) else None
        if not isinstance(state, dict):
            self._refuse("checkpoints/model.ckpt has no parameters ('state_dict')")
        settings = {**_USUAL, **(content.get("hyper_parameters") or {})}
        if _PATCHED in (described.get("layer_transformation"), settings["layer_transformation"]):
            # so called where releases before 2.2.4 had trained with softmax, whatever was asked for
            settings["layer_transformation"] = "softmax"
        for name, supported in _SUPPORTED.items():
            if settings[name] not in supported:
                self._refuse(
                    f"its {name} is '{settings[name]}'; what can be computed here is "
                    f"{' or '.join(supported)}: score with comet-score of unbabel-comet"
                )
        for name in ("activations", "final_activation"):
            if settings[name] is not None and not hasattr(nn, str(settings[name]).title()):
                self._refuse(f"its {name} '{settings[name]}' is no activation of torch")
        return settings

    def _read_encoder(
        self, transformers: Any, name: str, encoder_path: Optional[Path]
    ) -> Tuple[Any, Any]:
        """Return tokenizer and configuration of the XLM-R, which the checkpoint doesn't have."""
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        place = name if encoder_path is None else str(encoder_path)
        if encoder_path is not None and not (encoder_path / "config.json").is_file():
            found = "no config.json there" if encoder_path.is_dir() else "there is no such folder"
            raise OptionError(f"--comet-encoder-path {encoder_path}: {found}; {_WANTED}")
        try:
            configuration = transformers.XLMRobertaConfig.from_pretrained(
                place, local_files_only=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
            if encoder_path is None:
                raise OptionError(
                    f"--comet-encoder-path: {self._path} is made of '{name}', which is not in the "
                    f"cache of Hugging Face; {_WANTED}"
                ) from error
            raise OptionError(
                f"--comet-encoder-path {place}: can't be read ({shortened(error, 100)}); {_WANTED}"
            ) from error
        return tokenizer, configuration

    def _load(self, state: Mapping[str, Tensor], layers: int) -> None:
        mixture = "layerwise_attention"
        names = [f"{mixture}.scalar_parameters.{number}" for number in range(layers)]
        try:
            scalars = torch.cat([state[name].view(-1) for name in names]).float()
            self._gamma = state[f"{mixture}.gamma"].float().to(self._device)
            _load_part(self._encoder, state, "encoder.model.")
            _load_part(self._estimator, state, "estimator.ff.")
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"--comet-path {self._path}: its parameters don't fit its settings and the XLM-R "
                f"of --comet-encoder-path: {shortened(error, 160)}"
            ) from error
        weigh = _sparsemax if self._transformation == "sparsemax" else _softmax
        self._weights = weigh(scalars).to(self._device)
        for part in (self._encoder, self._estimator):
            part.to(self._device).float().eval()

    def _refuse(self, reason: str) -> NoReturn:
        raise OptionError(f"--comet-path {self._path}: {reason}")


_WANTED = "name a folder with config.json and the tokenizer of that model"


def _feed_forward(width: int, settings: Mapping[str, Any]) -> nn.Module:
    """Return the network that tells the score; dropout is there for the numbers of the others."""
    last = settings["final_activation"]
    modules: List[nn.Module] = []
    for size in settings["hidden_sizes"]:
        modules += [nn.Linear(width, size), _activation(settings["activations"]), nn.Dropout()]
        width = size
    modules.append(nn.Linear(width, 1))
    if last is not None:
        modules.append(_activation(last))
    return nn.Sequential(*modules)


def _activation(name: str) -> nn.Module:
    made: nn.Module = getattr(nn, str(name).title())()
    return made


def _load_part(module: nn.Module, state: Mapping[str, Tensor], prefix: str) -> None:
    own = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    lacking = module.load_state_dict(own, strict=False).missing_keys
    if lacking:
        raise KeyError(f"{prefix}{lacking[0]} ({len(lacking)} are missing)")


def _softmax(scalars: Tensor) -> Tensor:
    return scalars.softmax(0)


def _sparsemax(scalars: Tensor) -> Tensor:
    """Return the nearest point that has no negative numbers and sums to one, `[layers]`.

    Martins and Astudillo, "From Softmax to Sparsemax", ICML 2016, algorithm 1.
    """
    ordered = scalars.sort(descending=True).values
    beyond = ordered.cumsum(0) - 1
    counts = torch.arange(1, len(scalars) + 1)
    support = int((counts * ordered > beyond).sum())
    return (scalars - beyond[support - 1] / support).clamp(min=0)


def _normalised(layer: Tensor, shown: Tensor) -> Tensor:
    """Return activations with mean 0 and variance 1 over all that a sentence has.

    Args:
        layer: `[texts, tokens, channels]`.
        shown: 1 where there is a token, `[texts, tokens, 1]`.
    """
    count = shown.sum((1, 2), keepdim=True) * layer.size(-1)
    mean = (layer * shown).sum((1, 2), keepdim=True) / count
    variance = (((layer - mean) * shown) ** 2).sum((1, 2), keepdim=True) / count
    return (layer - mean) / torch.sqrt(variance + _FEW)
