"""The subcommands of ``fairseq-gist``, one a module."""
