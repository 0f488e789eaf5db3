"""Checks what a run reads, and what it asks for, before any rank starts."""

from pathlib import Path

from pretrain_api.formulas.vocabulary import vocabulary_size_of
from pretrain_api.problems import InvalidManifest
from pretrain_api.rules import Severity, check
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.indexed_blocks import MASK, token_type
from pretrain_workloads.storage import Folder, open_artifact, open_location, read_manifest
from pretrain_workloads.trainer.blocks.block_list import BlockList, read_block_list
from pretrain_workloads.trainer.initial_weights.configuration import (
    check_configuration,
    check_same_tokenizer,
)

_REMAKE = "delete the artifact and let the TokenDataset make it again"


def check_inputs(run: TrainingRun) -> None:
    """Check the spec, the token blocks and the tokenizer of a run.

    Raises:
        InvalidManifest: If the spec asks for what this version of the trainer cannot do. Admission
            knows the same list, but that of the operator's version.
        BadData: If files of the blocks are absent or have another size; names all of them.
        UserError: If the tokenizer cannot be loaded, or is not the one of the blocks, or the model
            to start from is another one.
    """
    # The control plane writes defaults out; the rules ask what a manifest asks for.
    asked = run.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    problems = check("PretrainJob", asked)
    unsupported = [str(one) for one in problems if one.severity is Severity.NOT_YET]
    if unsupported:
        raise InvalidManifest(unsupported)
    folder = open_artifact(run.dataset)
    blocks = read_block_list(folder)
    _check_files(folder, blocks)
    _check_tokenizer(run, folder, blocks)
    if run.spec.initialize.hugging_face:
        existing = open_location(run.spec.initialize.hugging_face)
        size = vocabulary_size_of(run.spec.model.vocabulary_size, blocks.vocabulary_size)
        check_configuration(run.spec.model, existing, size)
        check_same_tokenizer(run, existing)


def _check_files(folder: Folder, blocks: BlockList) -> None:
    """Compare the sizes in storage with the list of blocks, by one listing of the folder."""
    sizes = {file.path: file.size for file in folder.find()}
    itemsize = token_type(blocks.vocabulary_size).itemsize
    problems = []
    for entry in (*blocks.blocks, *blocks.validation):
        paths = [f"{entry.path}{suffix}" for suffix in (".bin", ".idx", *[MASK] * entry.has_mask)]
        absent = [path for path in paths if path not in sizes]
        problems += [f"{folder.uri_of(path)}: is missing" for path in absent]
        tokens = f"{entry.path}.bin"
        want = (entry.sequences * blocks.seq_length + 1) * itemsize
        if sizes.get(tokens, want) != want:
            problems.append(
                f"{folder.uri_of(tokens)}: has {sizes[tokens]} bytes, but {entry.sequences} "
                f"sequences of {blocks.seq_length} tokens need {want}"
            )
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise BadData(f"{'; '.join(problems[:5])}{more}; {_REMAKE}")


def _check_tokenizer(run: TrainingRun, folder: Folder, blocks: BlockList) -> None:
    """Check that the tokenizer loads, and that the blocks were made with it."""
    manifest = read_manifest(folder)
    used = manifest.inputs[0] if manifest is not None and manifest.inputs else None
    if used is not None and used.digest != run.tokenizer.digest:
        raise UserError(
            f"spec.data.datasetRef: {run.dataset.uri} was made with the tokenizer {used.uri}, not "
            f"with {run.tokenizer.uri}; let the TokenDataset make its blocks again"
        )
    tokenizer = open_artifact(run.tokenizer)
    uri = tokenizer.uri_of("tokenizer.json")
    with tokenizer.fetched("tokenizer.json") as path:
        size = _vocabulary_size(path, uri)
    if size > blocks.vocabulary_size:  # an existing tokenizer may have fewer: the rest are spare
        raise UserError(
            f"{uri}: has {size} ids, but the blocks of {run.dataset.uri} were made with "
            f"{blocks.vocabulary_size}; let the TokenDataset make them again"
        )


def _vocabulary_size(path: Path, uri: str) -> int:
    from tokenizers import Tokenizer  # not above: its import is only needed here

    try:
        return 1 + max(Tokenizer.from_file(str(path)).get_vocab().values())
    except Exception as error:  # the library has no class of its own
        raise UserError(
            f"{uri}: cannot be loaded ({error}); delete the artifact and let the Tokenizer make it "
            "again"
        ) from error
