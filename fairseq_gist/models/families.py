"""Every architecture's model: fairseq imports the files of this folder, and nothing else of it."""

from fairseq_gist.architectures import all_architectures
from fairseq_gist.discovery import tolerated

for _architecture in all_architectures().values():
    with tolerated(_architecture):
        _architecture.register()
