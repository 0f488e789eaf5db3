"""The shape of an optimizer step: batch, sequence, precision, recomputation."""

from dataclasses import dataclass

from pretrain_api.v1alpha1.training import Recompute


@dataclass(frozen=True)
class StepShape:
    """What one optimizer step computes, and with which kernels."""

    micro_batch_size: int
    """Sequences of a forward pass, on one rank."""
    global_batch_size: int
    """Sequences of an optimizer step, over all ranks."""
    seq_length: int
    """Tokens of a sequence."""
    recompute: Recompute = "none"
    precision: str = "bf16"
    has_fused_attention: bool = True
    """Whether attention never stores its scores (flash attention)."""
    has_early_attention: bool = False
    """Whether attention kernels are those of 2021 to 2023, of about half today's speed."""
    has_fused_softmax: bool = True
    """Whether attention that stores its scores has a kernel for scale, mask and softmax."""
    has_upstream_kernels: bool = False
    """Whether loss, dispatch of tokens to experts and selective recomputation (that of attention's
    scores) are Megatron-core's, which keep more."""
    later_batch_sizes: tuple[int, ...] = ()
    """Global batch sizes later in the run. Layouts must divide them; estimates ignore them."""
    later_seq_length: int | None = None
    """Length of the sequences at the end of the run, where they are longer; likewise."""

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Return every global batch size of the run."""
        return (self.global_batch_size, *self.later_batch_sizes)

    @property
    def seq_lengths(self) -> tuple[int, ...]:
        """Return every sequence length of the run."""
        later = self.later_seq_length
        return (self.seq_length,) if later is None else (self.seq_length, later)

    @property
    def forgets_activations(self) -> bool:
        """Return whether outputs of norms and activations are computed again (`selective`)."""
        return self.recompute == "selective" and not self.has_upstream_kernels

    @property
    def bytes_per_value(self) -> int:
        """Return the bytes of an activation."""
        return 4 if self.precision == "fp32" else 2
