"""An existing tokenizer through the real stages: its end closes every document in the blocks."""

import json

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from data_chain import OUTPUT, ROOT, DataChain
from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from pretrain_api.reports import ExitClass
from stage_runs import StageRunner

pytestmark = pytest.mark.integration

END = 256


def test_documents_end_with_the_end_of_an_existing_tokenizer(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    theirs = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(letters)}, merges=[]))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    theirs.decoder = decoders.ByteLevel()
    theirs.add_special_tokens([AddedToken("<|end|>", normalized=False, special=True)])
    (runner.data / "theirs").mkdir()
    theirs.save(str(runner.data / "theirs/tokenizer.json"))
    chain = DataChain(runner)
    chain.make_documents(pipeline_spec(f"{ROOT}/raw", OUTPUT))

    existing = {"uri": f"{ROOT}/theirs", "endOfDocument": "<|end|>"}
    made = chain.make_tokenizer(tokenizer_spec(OUTPUT, vocabularySize=600, existing=existing))
    assert made.exit_class is ExitClass.COMPLETE, made.message
    assert made.tokenizer is not None
    assert (made.tokenizer.end_of_document, made.tokenizer.vocabulary_size) == (END, 600)
    folder = chain.folder("tokenizer")
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert (config["bos_token"], config["eos_token"]) == (None, "<|end|>")

    chain.make_dataset(dataset_spec(OUTPUT))
    blocks = sorted(chain.folder("dataset").rglob("*.bin"))
    tokens = np.concatenate([np.fromfile(file, np.uint16) for file in blocks])
    ends = int((tokens == END).sum())
    assert ends > 10
    assert tokens.max() == END
