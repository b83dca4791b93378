"""`make bench`: the data path, measured beside the published way in one run, and the encoding of captions in another.

published   the published way, written from its description
generate    datasets of generated rows, in both forms
process     fresh processes, and what they hold
unicorn     what is measured of Unicorn's way; baseline: of the published one
figures     what was measured, what follows from it, and the machine
page        the results as JSON, as tables in docs/bench.md and on the terminal
data_path   the run

encoding    captions encoded beside a plain loop and beside sentence-transformers, a run of its own

training    align and tune beside the published recipe, lever by lever, a run of its own
recipes     the recipes of a step;  training_steps: what one takes
gpu         the same on one GPU, in the shape of Llama 3 8B
"""
