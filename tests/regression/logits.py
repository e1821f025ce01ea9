"""Write the logits of a checkpoint's model for the rows of dev: PLUGIN CHECKPOINT DATA FILE."""

import argparse
import sys

import numpy as np
import torch
from fairseq import checkpoint_utils, utils


def main(plugin: str, checkpoint: str, data: str, file: str) -> None:
    """Load the model as fairseq-generate does, and run it once on all rows."""
    torch.set_num_threads(1)
    utils.import_user_module(argparse.Namespace(user_dir=plugin))
    (model,), _, task = checkpoint_utils.load_model_ensemble_and_task(
        [checkpoint], arg_overrides={"data": data, "task": "gist_speech_to_text"}
    )
    task.load_dataset("dev")
    rows = task.dataset("dev")
    batch = rows.collater([rows[index] for index in range(len(rows))])
    inputs = batch["net_input"]
    if not hasattr(model, "routing"):
        inputs = {name: value for name, value in inputs.items() if name != "lang_ids"}
    model.eval()
    with torch.no_grad():
        np.save(file, model(**inputs)[0].numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
