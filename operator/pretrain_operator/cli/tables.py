"""Print plans, problems and suggestions as text and tables."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pretrain_api.reports import Audit
from pretrain_api.rules import Problem, Severity
from pretrain_api.v1alpha1.plan import MemoryPlan, PlanStatus
from pretrain_operator.planner.descriptions import duration_text, parallelism_text
from pretrain_operator.planner.suggestions import Suggestion

_CHECKSUMS = {
    "equal": "the token blocks hold, bit for bit, what the trainer has read",
    "different": "the token blocks do NOT hold what the trainer has read: they were changed",
    "unknown": "an earlier version has trained a part: the blocks cannot be compared with it",
    "not read": "the token blocks were not read again (--ledger-only)",
}
_BAR = 36
_PARTS = (
    ("weights", "blue"),
    ("gradients", "cyan"),
    ("optimizer", "green"),
    ("activations", "yellow"),
    ("logits", "magenta"),
    ("buffers", "white"),
)
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOT_YET: "magenta"}
_LABELS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOT_YET: "not runnable yet",
}


def show_plan(console: Console, title: str, plan: PlanStatus) -> None:
    """Print the numbers, the memory of each pipeline stage, and the best layouts."""
    console.print(Text(title, style="bold"))
    console.print(_numbers(plan))
    console.print(_memory(plan))
    if plan.candidates:
        console.print(_candidates(plan))


def show_problems(console: Console, problems: Sequence[Problem]) -> None:
    """Print one line for each problem, errors first."""
    for severity in (Severity.ERROR, Severity.NOT_YET, Severity.WARNING):
        for problem in problems:
            if problem.severity is severity:
                line = Text(f"{_LABELS[severity]}: ", style=_STYLES[severity])
                console.print(line.append(str(problem), style="default"), soft_wrap=True)


def show_audit(console: Console, name: str, audit: Audit) -> None:
    """Print what a run has read, and whether that is proven."""
    share = audit.traced_tokens / audit.tokens if audit.tokens else 1.0
    console.print(Text(f"{name}: what the weights of step {audit.step:,} have read", style="bold"))
    lines = [
        f"{audit.samples:,} sequences, {audit.tokens:,} tokens, {audit.epochs:g} epochs",
        f"{audit.traced_tokens:,} tokens ({share:.2%}) are traced to {audit.documents:,} "
        f"documents, none of them read more than {audit.most_uses:g} times",
        _CHECKSUMS[audit.checksum],
    ]
    if audit.rollbacks:
        lines.append(f"{audit.rollbacks} rollbacks left out {audit.skipped_samples:,} sequences")
    for line in lines:
        console.print(line, soft_wrap=True)
    table = Table(box=None, padding=(0, 1))
    table.add_column("by")
    table.add_column("")
    for header in ("documents", "tokens", "share"):
        table.add_column(header, justify="right")
    for group in audit.groups:
        table.add_row(
            group.by,
            group.name or "-",
            f"{group.documents:,}",
            f"{group.tokens:,}",
            f"{group.tokens / audit.tokens:.2%}" if audit.tokens else "-",
        )
    console.print(table)


def show_suggestions(console: Console, suggestions: Sequence[Suggestion]) -> None:
    """Print the shapes that finish in time."""
    table = Table("size", "layers", "hidden", "ffn", "heads", "groups", "tokens", "days")
    table.add_column("tensor, pipeline, context")
    for suggestion in suggestions:
        model, layout = suggestion.model, suggestion.candidate.layout
        sizes = f"{layout.tensor}, {layout.pipeline}, {layout.context}"
        numbers = (
            model.layers,
            model.hidden_size,
            model.ffn_hidden_size,
            model.attention_heads,
            model.query_groups,
        )
        table.add_row(
            f"{suggestion.parameters / 1e9:.2f} B",
            *(str(number) for number in numbers),
            f"{suggestion.tokens / 1e9:.0f} G",
            f"{suggestion.days:.1f}",
            sizes,
        )
    console.print(table)


def _numbers(plan: PlanStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    rows = {
        "layout": parallelism_text(plan.parallelism),
        "devices": f"{plan.world_size} (data-parallel {plan.data_parallel})",
        "parameters": _parameters(plan),
        "micro-batches": f"{plan.micro_batches} of {plan.micro_batch_size} sequences",
        "steps": f"{plan.steps} of {plan.tokens_per_step} tokens",
        "embedding rows": str(plan.padded_vocabulary_size),
        "checkpoint": f"{plan.checkpoint_bytes / 1e9:.1f} GB",
    }
    if plan.predicted_step_seconds is not None:
        rows["step time"] = (
            f"{plan.predicted_step_seconds:.3g} s ({plan.predicted_step_seconds_low:.3g} to"
            f" {plan.predicted_step_seconds_high:.3g})"
        )
        rows["speed"] = (
            f"{plan.predicted_tokens_per_second or 0:,.0f} tokens/s, MFU"
            f" {100 * (plan.predicted_mfu or 0):.1f} % (causal attention)"
        )
        rows["to finish"] = f"{duration_text((plan.days or 0) * 86_400)}, without restarts"
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), value)
    return table


def _parameters(plan: PlanStatus) -> str:
    shown = f"{plan.parameters / 1e9:.3f} billion"
    if plan.active_parameters != plan.parameters:
        shown += f", {plan.active_parameters / 1e9:.3f} used by a token"
    return shown


def _memory(plan: PlanStatus) -> RenderableType:
    table = Table("stage", "layers", title="Memory of a device", title_justify="left")
    table.add_column("memory", no_wrap=True)
    largest = max([plan.memory_per_gpu.total, *(s.memory.total for s in plan.stages)])
    scale = max(largest, plan.memory_per_gpu.limit or 0) or 1
    shown = plan.stages if len(plan.stages) <= 8 else [*plan.stages[:4], *plan.stages[-3:]]
    for stage in shown:
        table.add_row(str(stage.rank), str(stage.layers), _bar(stage.memory, scale))
    legend = Text()
    for name, color in _PARTS:
        legend.append("■ ", style=color).append(f"{name}  ")
    return Group(table, legend)


def _bar(memory: MemoryPlan, scale: int) -> Text:
    bar = Text()
    for name, color in _PARTS:
        bar.append("█" * round(_BAR * getattr(memory, name) / scale), style=color)
    bar.append(f" {memory.total / 2**30:.1f} GiB")
    if memory.limit is not None:
        is_over = memory.total > memory.limit
        bar.append(f" of {memory.limit / 2**30:.1f}", style="bold red" if is_over else "dim")
    return bar


def _candidates(plan: PlanStatus) -> Table:
    table = Table("layout", "memory", "step", title="Best layouts", title_justify="left")
    for candidate in plan.candidates:
        table.add_row(
            parallelism_text(candidate.parallelism),
            f"{candidate.memory_per_gpu / 2**30:.1f} GiB",
            f"{candidate.step_seconds:.3g} s" if candidate.step_seconds else "-",
        )
    return table
