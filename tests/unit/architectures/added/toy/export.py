"""Writing one language's toy."""

import torch

from fairseq_gist.files import replacing


def write_toy(export):
    with replacing(export.output) as temporary:
        torch.save({"path": export.options.toy_path, "weights": export.state}, temporary)
    return "as a toy"
