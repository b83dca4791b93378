"""How good a run is: benchmarks (questions about images) and analyses (studies of embeddings).

task              the seam: what a benchmark and an analysis are, and what they find
run               a finished training run, opened
pictures          pictures -> vectors, each encoded once
answering         a model's greedy answers
baselines         what is right without the image, or with another one
scoring           is an answer right, and how sure is a share of right answers
benchmark         one benchmark from pictures to findings
page              what the report and the terminal show of it
geometry          the gap between text and images, before and after the transfer
image_statistics  mean and spread of pictures
"""
