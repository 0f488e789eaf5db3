"""Names of the model's tensors in a Hugging Face Llama, Qwen2 or Qwen3.

Missing here are the joint projections, which are several tensors there: `linear_qkv`, `linear_fc1`.
"""

EMBEDDINGS = {
    "embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "output_layer.weight": "lm_head.weight",
}
"""One row for each id."""

FINAL_NORM = {"decoder.final_norm.weight": "model.norm.weight"}

PARTS = {
    "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    "self_attention.q_layernorm.weight": "self_attn.q_norm.weight",
    "self_attention.k_layernorm.weight": "self_attn.k_norm.weight",
    "self_attention.linear_proj.weight": "self_attn.o_proj.weight",
    "mlp.linear_fc1.layer_norm_weight": "post_attention_layernorm.weight",
    "mlp.linear_fc2.weight": "mlp.down_proj.weight",
}
"""Tensors of a layer, after the number of the layer."""
