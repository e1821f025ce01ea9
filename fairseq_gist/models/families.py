"""Every architecture's model: fairseq imports the files of this folder, and nothing else of it."""

import fairseq_gist.architectures.fairseq_conformer.model
import fairseq_gist.architectures.fairseq_transformer.model
import fairseq_gist.architectures.seamless_m4t.model  # noqa: F401
