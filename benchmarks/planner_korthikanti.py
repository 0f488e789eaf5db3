"""The twelve memory values that Korthikanti et al. print (arXiv 2205.05198, figure 1).

Computed by the planner's own functions, with what the paper leaves out left out: embeddings,
norms' weights, logits, workspaces, margin.
"""

from dataclasses import replace

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.formulas.parameters import attention_parameters, ffn_parameters
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.memory import in_flight, layer_activations
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.step_shape import StepShape

_GIB = 2**30

VALUES = (
    # layers, hidden, heads, tensor, pipeline, virtual, batch; states; activations none, SP + sel.
    ((48, 6144, 64, 8, 1, 1, 4), 45.5625, 59.25, 9.5625),
    ((96, 12288, 96, 8, 8, 3, 1), 45.5625, 66.84375, 12.3515625),
    ((105, 20480, 128, 8, 35, 3, 1), 31.640625, 114.0234375, 23.076171875),
    ((128, 25600, 160, 8, 64, 1, 1), 32.958984375, 131.25, 26.5625),
)


def values(shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Return states, activations, and activations with SP and selective recomputation, in GiB."""
    layers, hidden, heads, tensor, pipeline, virtual, batch = shape
    model = ModelShape(
        layers,
        hidden,
        4 * hidden,
        heads,
        heads,
        hidden // heads,
        0,
        is_gated=False,
        hidden_dropout=True,
        attention_dropout=True,
    )
    each = layers // pipeline
    layout = Layout(tensor * pipeline, (each,) * pipeline, tensor, virtual)
    step = StepShape(
        batch, 8 * batch * pipeline, 2048, has_fused_attention=False, has_upstream_kernels=True
    )
    run = PlannedRun(model, layout, step)
    weights = attention_parameters(model, tensor) - 2 * hidden
    weights += ffn_parameters(model, model.ffn_hidden_size, tensor)
    lean_run = replace(
        run,
        layout=replace(layout, sequence_parallel=True),
        step=replace(step, recompute="selective"),
    )
    kept = each * in_flight(run, 0)
    plain = layer_activations(run, has_experts=False)
    lean = layer_activations(lean_run, has_experts=False)
    return 18 * each * weights / _GIB, kept * plain / _GIB, kept * lean / _GIB


def korthikanti_matches() -> int:
    """Return how many of the twelve values agree to four decimals."""
    return sum(
        round(ours, 4) == round(printed, 4)
        for shape, *wanted in VALUES
        for ours, printed in zip(values(shape), wanted, strict=True)
    )
