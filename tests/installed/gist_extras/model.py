"""The model of the architecture: what registers it with fairseq."""

from fairseq.models import register_model, register_model_architecture
from fairseq.models.speech_to_text.s2t_transformer import s2t_transformer_s

from fairseq_gist.architectures.fairseq_transformer.model import GistS2TTransformer
from gist_extras.architectures import ARCHITECTURE


@register_model("gist_extra_transformer")
class ExtraTransformer(GistS2TTransformer):
    """fairseq's, which a sharing plan can rewrite."""

    architecture = ARCHITECTURE


register_model_architecture("gist_extra_transformer", "gist_extra_transformer_s")(s2t_transformer_s)
