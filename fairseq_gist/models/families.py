"""Every architecture's model: fairseq imports the files of this folder, and nothing else of it."""

from fairseq_gist.architectures import all_architectures

for _architecture in all_architectures().values():
    _architecture.register()
