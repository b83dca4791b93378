"""From seeds to a dataset, in text alone: dense captions, instructions, text vectors. No image, ever.

captions        stage 1: a seed becomes a dense caption
instructions    stage 2: a caption becomes a conversation of one task
embeddings      stage 3: captions become raw text vectors, with the statistics of the training split
request_loop    ask, check, ask again, in one stream over all blocks: what stages 1 and 2 share
block           one block between its first request and its shard, acknowledged in a journal
interruption    Ctrl-C and SIGTERM: finish what is in flight, then end
stage           what a stage that asks looks like, and what every stage reports
tasks           which caption gets which task
prompt          the versioned files of prompts/
parsing         from an answer to a caption or to questions, or to the reason why not
deduplication   captions that say what an earlier one has said
conversations   from questions to the turns of a conversation
usage           what a stage has taken: answers, tokens, money, time
report          the report of a dataset: its numbers (measures), its page, its card
seed_rejects    what a source of seeds left out
keyed           chance that depends on ids alone
"""
