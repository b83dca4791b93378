"""What a training would take, from shapes alone: parameters, tokens, FLOPs, memory, hours. No weights, no GPU."""
