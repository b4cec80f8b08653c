"""The parameters that rows do not read, by name: they do not change what is computed here.

A row that leaves a parameter of its primitive unread, and that is not named here, is an error: a
newer JAX may have given the primitive a meaning that the row does not know of.
"""

from __future__ import annotations

from collections.abc import Mapping

_BY_THE_TYPE = {
    "argmax": "index_dtype",
    "argmin": "index_dtype",
    "bitcast_convert_type": "new_dtype",
    "conv_general_dilated": "preferred_element_type",
    "convert_element_type": "new_dtype weak_type",
    "dot_general": "preferred_element_type",
    "empty": "dtype shape",
    "empty2": "dtype",
    "iota": "dtype shape",
    "iota_2x32_shape": "shape",
    "mul": "out_dtype",
    "random_wrap": "impl",
    "reshape": "new_sizes",
    "squeeze": "dimensions",
}
"""Said by the type of the result too, which is what the rows go by."""

_PLACES = {
    "broadcast_in_dim": "sharding",
    "compute_on": "compiler_options_json compute_type out_memory_spaces",
    "conv_general_dilated": "out_sharding",
    "convert_element_type": "sharding",
    "device_put": "copy_semantics devices srcs",
    "dot_general": "out_sharding",
    "empty": "memory_space out_sharding",
    "empty2": "memory_space",
    "iota": "sharding",
    "jit": "ctx_mesh in_layouts in_shardings out_layouts out_shardings",
    "layout_constraint": "layout",
    "reduce_sum": "out_sharding",
    "reshape": "sharding",
    "reshard": "concrete_mesh dst_sharding",
    "rng_bit_generator": "out_sharding",
    "sharding_constraint": "context_mesh layout sharding unconstrained_dims",
}
"""Where arrays lie and in which order: there is one memory here, and the plan says where."""

_DERIVATIVES = {
    "custom_jvp_call": "jvp_jaxpr_fun num_consts symbolic_zeros",
    "custom_vjp_call": "bwd fwd_jaxpr_thunk num_consts out_trees symbolic_zeros",
    "linear_call": "num_callee_consts num_res transpose_thunk",
    "remat2": "differentiated policy prevent_cse",
}
"""How to differentiate, which has been done by the time that a jaxpr is compiled."""

_HINTS = {
    "approx_top_k": "recall_target reduction_input_size_override",  # ours is exact
    "cond": "branches_platforms",  # the index says it
    "composite": "attributes name version",
    "eigh": "algorithm",
    "gather": "indices_are_sorted unique_indices",
    "jit": "compiler_options_kvs donated_invars inline keep_unused name",
    "name": "name",
    "qr": "use_magma",
    "reduce": "computation",  # its jaxpr says it
    "scan": "unroll",
    "scatter": "indices_are_sorted unique_indices update_consts",
    "sort": "is_stable",  # ours always is
    "svd": "algorithm",
    "triangular_solve": "conjugate_a",  # of real numbers
    "xla_metadata_call": "scheduling_group",
    "xla_metadata_value": "xla_metadata_kvs",
}
"""What does not change the result, or promises about arguments that are not needed."""

_LEFT_OUT = {
    "debug_callback": "callback effect ordered partitioned",
    "debug_print": (
        "fmt has_placeholders in_tree logging_record np_printoptions ordered partitioned "
        "static_args"
    ),
}
"""The whole operation is left out, with a warning."""

_FUNCTIONS = "cbrt cos exp exp2 expm1 log log1p logistic rsqrt sin sqrt tan tanh".split()
_SCATTERS = [f"scatter-{kind}" for kind in ("add", "sub", "mul", "min", "max")]


def _joined(*tables: Mapping[str, str]) -> dict[str, frozenset[str]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {
        name: frozenset(param for table in tables for param in table.get(name, "").split())
        for name in names
    }


IGNORED = _joined(
    _BY_THE_TYPE,
    _PLACES,
    _DERIVATIVES,
    _HINTS,
    _LEFT_OUT,
    dict.fromkeys(_FUNCTIONS, "accuracy"),  # ours are within a few units in the last place
    dict.fromkeys(_SCATTERS, "indices_are_sorted unique_indices update_consts update_jaxpr"),
)
"""Which parameters each row does not read."""
