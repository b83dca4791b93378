"""The model: a projector and a causal language model as one Hugging Face model. Tensors, no Lightning."""
