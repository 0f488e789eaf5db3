"""Read manifests as kubectl does: files, folders, standard input, several documents, lists."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from pretrain_api.kinds import KINDS
from pretrain_api.meta import API_VERSION, GROUP
from pretrain_api.problems import InvalidManifest
from pretrain_operator.observed.objects import ObservedObject, parse_object

_OURS = {kind.name for kind in KINDS}
_LARGEST = 8 * 2**20
_VALUES_OF_ALIASES = 10_000
"""Values that aliases may add to those of a text, which needs a character for each: a few lines of
aliases can stand for billions, or contain themselves."""
_LARGEST_NUMBER = 2**64
_MERGE = "tag:yaml.org,2002:merge"
_SUFFIXES = {".yaml", ".yml", ".json"}
_TEMPLATE = "{{"
"""In a file of a chart, which is no YAML before Helm has rendered it."""
_TOP_LEVEL = {"apiVersion", "kind", "metadata", "spec", "status"}


class _Loader(yaml.SafeLoader):
    """Loads YAML as Kubernetes does: `3e-4` is a number, a date and `12:30` are text."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._flattened: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Copy the fields of merge keys (`<<`) into the map, if they are not too many.

        Raises:
            YAMLError: If there are too many, or if a field is given twice.
        """
        if id(node) not in self._flattened:  # then fields of merge keys are in it, too
            self._flattened.add(id(node))
            _check_fields(node)
        super().flatten_mapping(node)
        if len(node.value) > _VALUES_OF_ALIASES:
            raise yaml.YAMLError(f"a map has more than {_VALUES_OF_ALIASES} fields")


def _check_fields(node: yaml.MappingNode) -> None:
    """Refuse a map with a field twice: YAML parsers take one of them, silently."""
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: the field {key.value!r} is given twice")
            seen.add(key.value)


_Loader.yaml_implicit_resolvers = {
    letter: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.rpartition(":")[2] not in ("timestamp", "int", "float")
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_NUMBERS = {
    # Those of PyYAML without base 60, and with exponents that need no sign.
    "int": r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)",
    "float": r"[-+]?(?:(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+"
    r"|[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
}
for _tag, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})$"), list("-+.0123456789")
    )


@dataclass(frozen=True)
class Document:
    """One object of our kinds."""

    origin: str
    """File, for messages."""
    observed: ObservedObject

    @property
    def kind(self) -> str:
        """Return its kind."""
        return self.observed.key.kind

    @property
    def name(self) -> str:
        """Return its name."""
        return self.observed.key.name

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return its spec."""
        return self.observed.spec

    @property
    def title(self) -> str:
        """Return kind and name, for messages."""
        return f"{self.kind}/{self.name}"


def read_manifests(names: list[str]) -> tuple[Document, ...]:
    """Return our objects in all files; `-` is standard input, a folder means its files.

    Of a folder, files that are no manifests are skipped, with a note on standard error, unless they
    mention our API group: charts, values and other YAML may lie beside ours.

    Raises:
        InvalidManifest: If a file cannot be read, is no YAML, or contains no Kubernetes objects.
    """
    documents = []
    for origin, text, is_named in _texts(names):
        try:
            values = parse_text(text, origin)
        except InvalidManifest as error:
            if is_named or (GROUP in text and _TEMPLATE not in text):
                raise
            sys.stderr.write(f"note: skipped: {error}\n")
            continue
        documents += [_document(value, origin) for value in values if _is_ours(value)]
    return tuple(documents)


def read_kustomization(folder: str) -> tuple[Document, ...]:
    """Return our objects of a folder as `kubectl kustomize` builds them.

    Raises:
        InvalidManifest: If it builds none, or kubectl is missing.
    """
    try:
        done = subprocess.run(
            ["kubectl", "kustomize", folder], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise InvalidManifest([f"-k {folder}: needs kubectl, which is not on PATH"]) from None
    if done.returncode != 0:
        raise InvalidManifest([f"-k {folder}: {done.stderr.strip().removeprefix('error: ')}"])
    values = parse_text(done.stdout, folder)
    return tuple(_document(value, folder) for value in values if _is_ours(value))


def parse_text(text: str, origin: str) -> list[Mapping[str, Any]]:
    """Return the objects in a text; lists are expanded, empty documents skipped.

    Raises:
        InvalidManifest: If it is no YAML, or contains a document that is no object.
    """
    if len(text) > _LARGEST:
        raise InvalidManifest([f"{origin}: is larger than {_LARGEST} characters"])
    try:
        values = list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidManifest([f"{origin}: is not valid YAML: {reason}"]) from None
    if problem := _unreadable(values, len(text) + _VALUES_OF_ALIASES):
        raise InvalidManifest([f"{origin}: {problem}"])
    objects: list[Mapping[str, Any]] = []
    for value in values:
        objects.extend(_objects(value, origin))
    return objects


def _unreadable(values: list[Any], limit: int) -> str | None:
    """Return why the values of a text cannot be a manifest: too many, or no numbers of JSON."""
    left = [iter(values)]
    count = 0
    while left:
        value = next(left[-1], left)
        if value is left:
            left.pop()
            continue
        count += 1
        if count > limit:
            return f"has more than {limit} values once its aliases are expanded"
        if isinstance(value, Mapping):
            left += [iter(value), iter(value.values())]
        elif isinstance(value, list):
            left.append(iter(value))
        elif isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            return "has an integer of more than 64 bits"
        elif isinstance(value, float) and not isfinite(value):
            return f"has the number {value}, which JSON has not"
    return None


def _objects(value: object, origin: str) -> Iterator[Mapping[str, Any]]:
    if value is None:
        return
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise InvalidManifest([f"{origin}: a document is no Kubernetes object (it has no kind)"])
    if str(value["kind"]).endswith("List") and isinstance(value.get("items"), list):
        for item in value["items"]:
            if isinstance(item, Mapping) and str(item.get("kind", "")).endswith("List"):
                raise InvalidManifest([f"{origin}: a list holds a list"])
            yield from _objects(item, origin)
        return
    yield value


def _is_ours(value: Mapping[str, Any]) -> bool:
    return str(value.get("apiVersion", "")).split("/")[0] == GROUP


def _document(value: Mapping[str, Any], origin: str) -> Document:
    kind, version = str(value["kind"]), str(value.get("apiVersion"))
    metadata, spec = _mapping(value.get("metadata")), value.get("spec")
    name = metadata.get("name")
    if name is None and isinstance(prefix := metadata.get("generateName"), str):
        name = f"{prefix}xxxxx"  # the API server chooses five letters
    problems = [f"{key}: there is no such field" for key in value if key not in _TOP_LEVEL]
    if version != API_VERSION:
        problems.append(f"apiVersion: {version} is not known; use {API_VERSION}")
    if kind not in _OURS:
        problems.append(f"kind: there is no {kind}; use one of {', '.join(sorted(_OURS))}")
    if not isinstance(name, str) or not name:
        problems.append("metadata.name: is required, or generateName")
    if not isinstance(spec, Mapping) or not all(isinstance(key, str) for key in spec):
        problems.append("spec: is required, and a map")
    if problems:
        raise InvalidManifest([f"{origin}: {problem}" for problem in problems])
    generation = metadata.get("generation")
    body = {
        "metadata": {
            "name": name,
            "namespace": str(metadata.get("namespace") or ""),
            "uid": "",
            "generation": generation if isinstance(generation, int) else 0,
            "annotations": _mapping(metadata.get("annotations")),
        },
        "spec": spec,
        "status": _mapping(value.get("status")),
    }
    return Document(origin, parse_object(kind, body))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(names: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Yield origin and text of each file, and whether it was named, not found in a folder."""
    for name in names:
        if name == "-":
            yield "standard input", sys.stdin.read(), True
            continue
        path = Path(name)
        files = [path]
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES)
        for file in files:
            try:
                yield str(file), file.read_text(encoding="utf-8"), file is path
            except OSError as error:
                raise InvalidManifest([f"{file}: cannot be read: {error.strerror}"]) from None
            except UnicodeDecodeError as error:
                raise InvalidManifest([f"{file}: is not UTF-8: {error}"]) from None
