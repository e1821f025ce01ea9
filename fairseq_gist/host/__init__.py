"""Everything that knows the insides of fairseq, or the difference between the stacks."""
