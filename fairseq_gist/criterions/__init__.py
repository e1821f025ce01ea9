"""The criterions that fairseq registers; the task imports them, as fairseq does not."""
