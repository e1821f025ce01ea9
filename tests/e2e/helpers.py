"""Models and batches without a training run."""

import random

import torch
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.sequence_generator import SequenceGenerator
from fairseq.tasks import setup_task

from fairseq_gist.data.multiway import group_by_audio
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.adapters import with_adapters
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units, select_units
from tests.e2e.conftest import RECIPE, SMALL_MODEL


def build(data, *extra, model=None):
    """Build task, model and criterion as fairseq-train would."""
    parser = options.get_training_parser()
    arguments = [
        str(data),
        "--task=gist_speech_to_text",
        "--criterion=gist_label_smoothed_cross_entropy",
        *(SMALL_MODEL if model is None else model),
        *RECIPE,
        *extra,
    ]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
    torch.manual_seed(1)
    task = setup_task(cfg.task)
    return task, task.build_model(cfg.model), task.build_criterion(cfg.criterion)


def batch_of(task, utterances, subset="dev", multiway=False):
    """Collate the first utterances of ``subset`` in all languages."""
    rows = task.reader().read(subset, is_train=False, multiway=multiway)
    if multiway:
        return rows.collater([rows[index] for index in range(utterances)])
    groups = group_by_audio(rows.rows.audio_paths)[:utterances]
    return rows.collater([rows[row] for group in groups for row in group])


def rows_of(sample, rows, pad=1):
    """Return the batch with ``rows`` of ``sample`` alone, padded as there.

    The longest audio, row 0, comes last where it isn't among them: fairseq takes the longest one of
    a batch for the length of its padding. Its target is padding, so that it has no loss.
    """
    target = sample["target"][rows]
    if 0 not in rows.tolist():
        rows = torch.cat([rows, rows.new_zeros(1)])
        target = torch.cat([target, torch.full_like(target[:1], pad)])
    return {
        "target": target,
        "ntokens": 1,
        "net_input": {key: value[rows] for key, value in sample["net_input"].items()},
    }


def translate(task, model, sample, prefix_size=1):
    """Return the tokens and score of every hypothesis of every row."""
    generator = SequenceGenerator([model], task.target_dictionary, beam_size=5, max_len_b=12)
    prefix = sample["target"][:, :prefix_size] if prefix_size else None
    hypotheses = task.inference_step(generator, [model], sample, prefix_tokens=prefix)
    return [
        [(hypothesis["tokens"].tolist(), hypothesis["score"].item()) for hypothesis in row]
        for row in hypotheses
    ]


def random_plan(model, languages, seed=0, pattern=None):
    """Draw a plan in which about every unit that ``pattern`` chooses has two to four groups."""
    source = random.Random(seed)
    found = find_units(model)
    chosen = select_units(found, pattern)
    units = {name: [languages] for name in select_units(found) if name not in chosen}
    for name in chosen:
        count = source.randint(2, 4)
        groups = [[] for _ in range(count)]
        for language in languages:
            source.choice(groups).append(language)
        units[name] = [group for group in groups if group]
    return SharingPlan(languages, units)


def differentiate_at_random(model, languages, seed=0, pattern=None):
    """Split ``model`` at random and make its copies differ."""
    plan = with_adapters(model, random_plan(model, languages, seed, pattern))
    apply_plan(model, plan, model.routing)
    return disturb_copies(model, seed)


def disturb_copies(model, seed=0):
    """Make the copies in ``model`` differ."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".copies." in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def with_copies_apart(checkpoint):
    """Return the content of a checkpoint with copies that differ more than a few updates make them.

    The numbers are always the same.
    """
    content = read_checkpoint(str(checkpoint))
    torch.manual_seed(4)
    for name, tensor in content["model"].items():
        if is_copy(name):
            tensor.add_(0.3 * torch.randn_like(tensor))
    return content


def is_copy(name):
    """Tell whether a parameter is a group's own copy."""
    return ".copies." in name and name.endswith(("weight", "bias"))
