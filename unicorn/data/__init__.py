"""From dataset to batches: prompts and loss masks, order, packing, a loader that resumes at one number."""
