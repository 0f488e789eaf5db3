"""Rules about the data kinds, the ComputeProfile and storage locations."""

from pydantic.alias_generators import to_camel

from pretrain_api.rules.expressions import field, present
from pretrain_api.rules.rule import Rule
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_api.v1alpha1.tokendataset import OTHER_SET, TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec

_RULE_KINDS = [to_camel(name) for name in DataRule.kinds()]

_SPECIAL_PIECES = 259
"""The 256 bytes, unknown, beginning and end: what SentencePiece adds to the learnt pieces."""


def _storage(path: str, stricter: str = "") -> Rule:
    value = f"self.{path}.uri"
    there = present(f"{path}.uri")
    return Rule(
        f"uri-{path.replace('.', '-').lower()}",
        f"{path}.uri",
        f"!({there}) || {value}.startsWith('s3://') || {value}.startsWith('file:///pretrain/')",
        "%s is no place we can reach; write s3://bucket/path, or file:///pretrain/… on a volume of"
        " the ComputeProfile",
        (value,),
        source="our own storage module",
        otherwise="the pods fail after they were scheduled",
        stricter=stricter,
    )


_BYTE_LETTERS = "\u00a1-\u00ac\u00ae-\u0143"
"""Letters by which byte-level tokenizers write bytes, beside those of ASCII."""

_LOST_IN_BYTES = f"t.matches('^[!-~{_BYTE_LETTERS}]+$') && t.matches('[{_BYTE_LETTERS}]')"


def _reachable(path: str) -> str:
    return f"{path}.all(s, s.uri.startsWith('s3://') || s.uri.startsWith('file:///pretrain/'))"


_NO_STORAGE = "Megatron-core's configuration has no storage locations"

STORAGE_RULES = (
    _storage("checkpoint", _NO_STORAGE),
    _storage("initialize.huggingFace", _NO_STORAGE),
    _storage("export.huggingFace", _NO_STORAGE),
)
"""Of a PretrainJob."""

PIPELINE_RULES = (
    _storage("output"),
    Rule(
        "source-uris",
        "sources",
        _reachable("self.sources"),
        "%s: every uri starts with s3:// or file:///pretrain/",
        ("self.sources.map(s, s.uri)",),
        source="our own storage module",
        otherwise="the first stage fails after it was scheduled",
    ),
    Rule(
        "benchmark-uris",
        "decontaminate.against",
        "!has(self.decontaminate) || " + _reachable("self.decontaminate.against"),
        "%s: every uri starts with s3:// or file:///pretrain/",
        ("self.decontaminate.against.map(s, s.uri)",),
        source="our own storage module",
        otherwise="the first stage fails after it was scheduled",
    ),
    *(
        Rule(
            f"sample-uris-{path.rpartition('.')[2]}",
            path,
            f"!({present(path)}) || " + _reachable(f"self.{path}"),
            "%s: every uri starts with s3:// or file:///pretrain/",
            (f"self.{path}.map(s, s.uri)",),
            source="our own storage module",
            otherwise="the first stage fails after it was scheduled",
        )
        for path in ("models.quality.good", "models.quality.bad", "models.domain.samples")
    ),
    _storage("models.quality.onnx"),
    Rule(
        "quality-floors",
        "models.quality.keep",
        f"!({present('models.quality.keep')}) || self.models.quality.keep.all(k,"
        " has(k.minimum) != has(k.fraction))",
        "each entry sets exactly one of minimum and fraction",
        source="our own",
        otherwise="an entry that keeps everything, or one of two limits that nobody chose",
    ),
    Rule(
        "quality-samples",
        "models.quality",
        f"!({present('models.quality')}) || ("
        "(has(self.models.quality.good) && size(self.models.quality.good) > 0) =="
        " (has(self.models.quality.bad) && size(self.models.quality.bad) > 0)"
        " && !(has(self.models.quality.onnx) && has(self.models.quality.good)"
        " && size(self.models.quality.good) > 0))",
        "set good and bad, or onnx, or none of them for the model that comes with the software",
        source="our own",
        otherwise="a model that cannot be trained",
    ),
    Rule(
        "source-names",
        "sources",
        "self.sources.all(s, self.sources.exists_one(t, t.name == s.name))",
        "the names %s are not all different; give each source its own",
        ("self.sources.map(s, s.name)",),
        source="our own: documents carry the name of their source",
        otherwise="documents of two sources that cannot be distinguished",
    ),
    Rule(
        "rule-kinds",
        "rules",
        "!has(self.rules) || self.rules.all(r, ["
        + ", ".join(f"has(r.{kind})" for kind in _RULE_KINDS)
        + "].exists_one(x, x))",
        f"each rule sets exactly one of {', '.join(_RULE_KINDS[:-1])} and {_RULE_KINDS[-1]}",
        source="our own",
        otherwise="a rule without effect, or two rules in an undefined order",
    ),
)

TOKENIZER_RULES = (
    _storage("output"),
    _storage("existing"),
    Rule(
        "existing-reserved",
        "reservedTokens",
        f"!has(self.existing) || {field('reservedTokens', model=TokenizerSpec)} == 0",
        "%d reserved tokens cannot be placed in an existing tokenizer; leave them out and raise"
        " vocabularySize, whose ids beyond the tokenizer's are spare",
        (field("reservedTokens", model=TokenizerSpec),),
        source="our own: ids of an existing tokenizer stay as they are",
        otherwise="ids that the user counts on and that are not there",
    ),
    Rule(
        "reserved-tokens",
        "reservedTokens",
        f"{field('reservedTokens', model=TokenizerSpec)} + {_SPECIAL_PIECES} < self.vocabularySize",
        "%d reserved and %d special tokens leave nothing to learn of vocabularySize = %d",
        (
            field("reservedTokens", model=TokenizerSpec),
            str(_SPECIAL_PIECES),
            "self.vocabularySize",
        ),
        source="SentencePiece, vocabulary size",
        otherwise="an exception at the end of sampling",
    ),
    Rule(
        "tokenizer-algorithm",
        "algorithm",
        "!has(self.algorithm) || self.algorithm != 'unigram'",
        "unigram has no Hugging Face form with equal ids, for now; use bpe or byteLevelBpe",
        source="SentencePiece and Hugging Face tokenizers split runs of one character differently",
        otherwise="an error when training ends, or a model that is served other ids than it saw",
    ),
    Rule(
        "business-tokens",
        "businessTokens",
        "!has(self.businessTokens) || self.businessTokens.all(t,"
        " !t.matches('^<(unk|s|/s|reserved_[0-9]+)>$'))",
        "%s are names of special tokens: text that holds them would end a document; leave them out",
        ("self.businessTokens.filter(t, t.matches('^<(unk|s|/s|reserved_[0-9]+)>$'))",),
        source="SentencePiece refuses them; tokenizers takes them for the special tokens",
        otherwise="a document that ends at its first </s>",
    ),
    Rule(
        "business-tokens-latin",
        "businessTokens",
        "!has(self.algorithm) || self.algorithm != 'byteLevelBpe' || !has(self.businessTokens) ||"
        f" self.businessTokens.all(t, !({_LOST_IN_BYTES}))",
        "%s cannot be decoded by byteLevelBpe, which takes their letters for bytes; leave them out,"
        " or use bpe",
        (f"self.businessTokens.filter(t, {_LOST_IN_BYTES})",),
        source="Hugging Face tokenizers, decoder ByteLevel",
        otherwise="a model whose output lacks these letters",
    ),
    Rule(
        "language-weights",
        "corpus.languageWeights",
        "!has(self.corpus.languageWeights) || size(self.corpus.languageWeights) == 0 ||"
        " self.corpus.languageWeights.exists(l, self.corpus.languageWeights[l] > 0.0)",
        "all weights are 0, so nothing would be sampled; give one language a weight",
        source="our own",
        otherwise="a tokenizer trained on nothing",
    ),
)

DATASET_RULES = (
    _storage("output"),
    Rule(
        "validation-set-names",
        "validation.sets",
        f"!({present('validation.sets')}) || self.validation.sets.all(s, s.name != '{OTHER_SET}'"
        " && self.validation.sets.exists_one(t, t.name == s.name))",
        f"the names %s are not all different, or one is {OTHER_SET}, the set of the rest; give each"
        " its own",
        ("self.validation.sets.map(s, s.name)",),
        source="our own",
        otherwise="two perplexities of one name",
    ),
    Rule(
        "validation-set-pipelines",
        "validation.sets",
        f"!({present('validation.sets')}) || self.validation.sets.all(s, !has(s.pipelineRef) ||"
        " self.mixture.exists(p, p.pipelineRef.name == s.pipelineRef.name))",
        "the pipelines %s are not in the mixture; held-out text comes from its parts",
        (
            "self.validation.sets.filter(s, has(s.pipelineRef) && !self.mixture.exists(p,"
            " p.pipelineRef.name == s.pipelineRef.name)).map(s, s.pipelineRef.name)",
        ),
        source="our own",
        otherwise="a set without documents",
    ),
    Rule(
        "stream-sequence",
        "tokens",
        f"{field('tokens', model=TokenDatasetSpec)} >= self.sequenceLength",
        "%d is less than one sequence of %d tokens",
        (field("tokens", model=TokenDatasetSpec), "self.sequenceLength"),
        source="our own",
        otherwise="a dataset without a sequence",
    ),
    Rule(
        "block-sequence",
        "blockTokens",
        f"{field('blockTokens', model=TokenDatasetSpec)} >= self.sequenceLength",
        "%d is less than one sequence of %d tokens",
        (field("blockTokens", model=TokenDatasetSpec), "self.sequenceLength"),
        source="our own: a block holds whole sequences",
        otherwise="blocks without a sequence",
    ),
)

_CARDS, _DEVICES = "network.resources", "accelerator.resource"

PROFILE_RULES = (
    Rule(
        "volume-source",
        "pods.volumes",
        f"!({present('pods.volumes')}) || self.pods.volumes.all(v,"
        " has(v.persistentVolumeClaim) != has(v.hostPath))",
        "each volume sets exactly one of persistentVolumeClaim and hostPath",
        source="our own",
        otherwise="pods that cannot be made",
    ),
    Rule(
        "network-resources",
        _CARDS,
        f"!({present(_CARDS)}) || self.{_CARDS}.all(name, name.contains('/'))",
        "%s are no extended resources, such as rdma/hca; CPU and memory are set by pods.trainer",
        (f"self.{_CARDS}.filter(name, !name.contains('/'))",),
        source="our own: Kubernetes' names of extended resources have a domain",
        otherwise="a training pod with other CPU or memory than the profile says, silently",
    ),
    Rule(
        "network-devices",
        _CARDS,
        f"!({present(_CARDS)}) || !({present(_DEVICES)}) || !(self.{_DEVICES} in self.{_CARDS})",
        "'%s' is accelerator.resource, of which pods request one for each training process; leave"
        " it out here",
        (f"self.{_DEVICES}",),
        source="our own",
        otherwise="pods with another number of devices than processes, silently",
    ),
)
