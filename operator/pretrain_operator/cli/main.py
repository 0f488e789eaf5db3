"""The command line of `kubectl pretrain`.

Exit codes: 0 all objects are accepted, 1 an object is refused or the trainer cannot run it yet,
2 nothing could be checked.
"""

import argparse
import json
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from pretrain_api.meta import GROUP
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.quantities import parse_quantity
from pretrain_api.rules import Severity
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_operator.admission.runs import AdmissionResult
from pretrain_operator.cli.context import PlanContext, known_device
from pretrain_operator.cli.curve import curve_of
from pretrain_operator.cli.drawing import show_curve, write_page, write_png
from pretrain_operator.cli.manifests import Document, read_kustomization, read_manifests
from pretrain_operator.cli.presets import profile_manifests
from pretrain_operator.cli.tables import show_audit, show_plan, show_problems, show_suggestions
from pretrain_operator.observed.objects import read_spec
from pretrain_operator.observed.states import read_status
from pretrain_operator.planner.explanations import explain, parse_degrees
from pretrain_operator.planner.suggestions import SuggestionRequest, suggest

ACCEPTED, REFUSED, UNUSABLE = 0, 1, 2


@dataclass(frozen=True)
class Result:
    """The admission result of one object."""

    document: Document
    admission: AdmissionResult

    @property
    def is_refused(self) -> bool:
        """Return whether the webhook or the controller would refuse the object."""
        return bool(self.admission.errors)

    @property
    def outcome(self) -> str:
        """Return the result in a few words."""
        if any(problem.severity is Severity.ERROR for problem in self.admission.problems):
            return "refused"
        return "not runnable yet" if self.is_refused else "accepted"

    @property
    def is_doubtful(self) -> bool:
        """Return whether there is a warning, or something that could not be checked."""
        return bool(self.admission.problems or self.admission.missing)

    def as_data(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        plan = self.admission.plan
        return {
            "kind": self.document.kind,
            "name": self.document.name,
            "file": self.document.origin,
            "accepted": not self.is_refused,
            "problems": [
                asdict(problem) | {"severity": problem.severity.value}
                for problem in self.admission.problems
            ],
            "unchecked": list(self.admission.missing),
            "notes": list(self.admission.notes),
            "plan": plan and plan.model_dump(mode="json", by_alias=True, exclude_none=True),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    # What manifests hold is printed as it stands, not as the markup of the library.
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    try:
        code: int = options.run(options, console)
        return code
    except InvalidManifest as error:
        for problem in error.problems:
            sys.stderr.write(f"error: {problem}\n")
        if getattr(options, "output", "table") != "table":
            _write({"errors": error.problems}, options, console)
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubectl pretrain", description="Check and plan pretraining runs before they start."
    )
    parser.add_argument("--version", action="version", version=version("pretrain-operator"))
    commands = parser.add_subparsers(required=True, metavar="command")
    plan = commands.add_parser("plan", help="memory, time and layout of PretrainJobs")
    plan.add_argument("name", nargs="?", help="a PretrainJob of the cluster, instead of -f")
    plan.add_argument("-n", "--namespace", help="its namespace (default: the context's)")
    plan.add_argument("--explain", metavar="tensor=8", help="why not this layout")
    plan.set_defaults(run=_plan)
    validate = commands.add_parser("validate", help="every broken rule of every object")
    validate.set_defaults(run=_validate)
    for command in (plan, validate):
        command.add_argument("-f", "--filename", action="append", default=[], help="- is stdin")
        command.add_argument("-k", "--kustomize", action="append", default=[], metavar="FOLDER")
        command.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table")
        command.add_argument("--accelerator", help="device instead of a ComputeProfile")
        command.add_argument("--per-node", type=int, default=8, help="devices of a node")
        command.add_argument(
            "--strict",
            action="store_true",
            help="refuse warnings, and what was not checked",
        )
    _add_suggest(commands)
    curve = commands.add_parser("curve", help="loss of a PretrainJob, and what happened to it")
    curve.add_argument("name")
    curve.add_argument("-n", "--namespace", help="its namespace (default: the context's)")
    curve.add_argument("--png", metavar="FILE", type=Path, help="write it as a picture")
    curve.add_argument("--html", metavar="FILE", type=Path, help="write it as one page")
    curve.set_defaults(run=_curve)
    report = commands.add_parser("report", help="what a DataPipeline kept and dropped, as a page")
    report.add_argument("--file", metavar="FILE", type=Path, help="default: NAME-report.html")
    report.add_argument("--open", action="store_true", help="open it in the browser")
    report.set_defaults(run=_report_page)
    audit = commands.add_parser("audit", help="which documents a PretrainJob has read, proven")
    audit.add_argument("-o", "--output", choices=("table", "json"), default="table")
    audit.add_argument(
        "--ledger-only", action="store_true", help="do not read the token blocks again"
    )
    audit.set_defaults(run=_audit)
    for command in (report, audit):
        command.add_argument("name")
        command.add_argument("-n", "--namespace", help="its namespace (default: the context's)")
        command.add_argument("--timeout", type=int, default=600, help="seconds for its pod")
    profiles = commands.add_parser("profiles", help="ComputeProfiles of the known devices")
    profiles.set_defaults(run=_profiles)
    return parser


def _add_suggest(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sizes = commands.add_parser("suggest", help="how big a model, for devices, days and tokens")
    sizes.add_argument("--accelerator", required=True)
    sizes.add_argument("--nodes", type=int, required=True)
    sizes.add_argument("--days", type=float, required=True)
    sizes.add_argument("--tokens", help="such as 300G; unset means 20 for each parameter")
    sizes.add_argument("--sequence-length", type=int, default=4096)
    sizes.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table")
    sizes.set_defaults(run=_suggest)


def _plan(options: argparse.Namespace, console: Console) -> int:
    documents = _documents(options)
    jobs = [document for document in documents if document.kind == "PretrainJob"]
    if not jobs:
        raise InvalidManifest(["there is no PretrainJob among the manifests"])
    context = PlanContext.of(documents, options, assumes_nodes=True)
    if options.explain:
        return _explain(options, console, context, jobs)
    return _report([Result(job, context.admit(job)) for job in jobs], options, console)


def _validate(options: argparse.Namespace, console: Console) -> int:
    documents = _documents(options)
    if not documents:
        raise InvalidManifest([f"there are no objects of {GROUP} among the manifests"])
    context = PlanContext.of(documents, options, assumes_nodes=False)
    results = [Result(document, context.admit(document)) for document in documents]
    return _report(results, options, console, with_plans=False)


def _documents(options: argparse.Namespace) -> tuple[Document, ...]:
    name = getattr(options, "name", None)
    if name:
        # The client is slow to import, and most commands need no cluster.
        from pretrain_operator.cli.live import read_cluster

        return read_cluster(name, options.namespace)
    if not options.filename and not options.kustomize:
        raise InvalidManifest(
            ["give -f FILE (- is standard input), -k FOLDER, or the name of a PretrainJob"]
        )
    built = [one for folder in options.kustomize for one in read_kustomization(folder)]
    return (*read_manifests(options.filename), *built)


def _explain(
    options: argparse.Namespace, console: Console, context: PlanContext, jobs: list[Document]
) -> int:
    wanted = parse_degrees(options.explain)
    for job in jobs:
        spec = parse(PretrainJobSpec, dict(job.spec))
        related = context.related(job, spec)
        assert related.profile is not None
        for line in explain(spec, related.profile, wanted, related.vocabulary):
            console.print(line, soft_wrap=True)
    return ACCEPTED


def _report(
    results: list[Result], options: argparse.Namespace, console: Console, with_plans: bool = True
) -> int:
    if options.output != "table":
        _write([result.as_data() for result in results], options, console)
    else:
        for result in results:
            _show(result, console, with_plans)
    refused = [one for one in results if one.is_refused or (options.strict and one.is_doubtful)]
    return REFUSED if refused else ACCEPTED


def _write(data: object, options: argparse.Namespace, console: Console) -> None:
    """Write values as JSON or YAML."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    if options.output == "yaml":
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    console.file.write(text.rstrip() + "\n")


def _show(result: Result, console: Console, with_plans: bool) -> None:
    title = f"{result.document.origin}: {result.document.title}: {result.outcome}"
    admission = result.admission
    if with_plans and admission.plan is not None:
        show_plan(console, title, admission.plan)
    else:
        console.print(title, style="bold", soft_wrap=True)
    show_problems(console, admission.problems)
    for line in admission.missing:
        console.print(f"not checked: {line}", style="dim", soft_wrap=True)
    for note in admission.notes if with_plans else ():
        console.print(f"note: {note}", style="dim", soft_wrap=True)


def _suggest(options: argparse.Namespace, console: Console) -> int:
    problems: list[str] = []
    try:
        device = known_device(options.accelerator)
    except InvalidManifest as error:
        problems += error.problems
    if options.nodes < 1 or not options.days > 0 or options.sequence_length < 8:
        problems.append(
            "use --nodes of at least 1, --days above 0, --sequence-length of at least 8"
        )
    try:
        tokens = parse_quantity(options.tokens) if options.tokens else None
    except ValueError as error:
        problems.append(f"--tokens: {error}")
    if problems:
        raise InvalidManifest(problems)
    request = SuggestionRequest(
        device, options.nodes, options.days, tokens, seq_length=options.sequence_length
    )
    suggestions = suggest(request)
    if not suggestions:
        console.print(
            f"no suggested model finishes in {options.days:g} days; use more nodes or days"
        )
        return REFUSED
    if options.output == "table":
        show_suggestions(console, suggestions)
    else:
        _write([suggestion.as_data() for suggestion in suggestions], options, console)
    return ACCEPTED


def _curve(options: argparse.Namespace, console: Console) -> int:
    from pretrain_operator.cli.live import connect, read_object

    run = read_object("PretrainJob", connect(options.namespace), options.name)
    status = read_status(PretrainJobStatus, run)
    curve = curve_of(options.name, read_spec(PretrainJobSpec, run), status)
    try:
        if options.png is not None:
            write_png(curve, options.png)
        if options.html is not None:
            write_page(curve, options.html)
    except OSError as error:
        raise InvalidManifest([f"{error.filename}: {error.strerror}"]) from None
    show_curve(console, curve)
    return ACCEPTED


def _report_page(options: argparse.Namespace, console: Console) -> int:
    from pretrain_operator.cli.live import connect
    from pretrain_operator.cli.readings import read_report

    page = read_report(connect(options.namespace), options.name, options.timeout)
    path = options.file or Path(f"{options.name}-report.html")
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidManifest([f"{path}: {error.strerror}"]) from None
    console.print(f"{path}: {len(page.encode()):,} bytes", soft_wrap=True)
    if options.open:
        webbrowser.open(path.absolute().as_uri())
    return ACCEPTED


def _audit(options: argparse.Namespace, console: Console) -> int:
    from pretrain_operator.cli.live import connect
    from pretrain_operator.cli.readings import read_audit

    namespace = connect(options.namespace)
    audit = read_audit(namespace, options.name, options.timeout, not options.ledger_only)
    if options.output == "json":
        console.file.write(audit.model_dump_json(by_alias=True, indent=2) + "\n")
    else:
        show_audit(console, options.name, audit)
    return ACCEPTED if audit.is_sound else REFUSED


def _profiles(options: argparse.Namespace, console: Console) -> int:
    console.file.write(yaml.safe_dump_all(profile_manifests(), sort_keys=False))
    return ACCEPTED
