"""The tokenizer that the text tower and the language model share: one token a word, from a closed vocabulary."""

from itertools import chain

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Fuse, Replace, Sequence, WordPiece
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.pre_tokenizers import Split, WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from unicorn.scenes import askers, language, lexicon, questions

PAD, UNKNOWN, BOS, EOS, END, IMAGE = "<pad>", "<unk>", "<bos>", "<eos>", "<end>", "<image>"
ROLES = "<system>", "<user>", "<assistant>"

# What stands between the generation marks is what an assistant says, and what its loss is taken over.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "<assistant> {% generation %}{{ message['content'] }} <end>{% endgeneration %}"
    "{% else %}"
    "<{{ message['role'] }}> {{ message['content'] }} <end>"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


def vocabulary() -> list[str]:
    """Every token: the special ones, then the words, sorted."""
    forms = chain(
        language.FORMS,
        *questions.FORMS.values(),
        questions.DESCRIBE_FORMS,
        questions.REASONS,
        *askers.OPTIONS.values(),
        askers.QUANTITIES.values(),
        *askers.DOMAIN_CLAUSES.values(),
    )
    return [PAD, UNKNOWN, BOS, EOS, END, IMAGE, *ROLES, *lexicon.closed_vocabulary(forms)]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The world's tokenizer. "K 7" is decoded as "K 7", and a full stop without a space before it."""
    tokens = {token: index for index, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(WordLevel(tokens, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = PreTokenizers([WhitespaceSplit(), Split(Regex("[A-Z0-9]|[.,:?]"), "isolated")])
    tokenizer.decoder = Sequence([WordPiece(cleanup=True), Fuse(), Replace(" :", ":")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=[END, IMAGE, *ROLES],
        chat_template=CHAT_TEMPLATE,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
