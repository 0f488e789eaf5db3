import importlib
import pkgutil
from typing import Any

import pretrain_workloads.data
from pretrain_workloads.data.compile_kernels import compile_kernels


def test_every_kernel_is_compiled_for_the_image() -> None:
    compile_kernels()
    modules = pkgutil.walk_packages(pretrain_workloads.data.__path__, "pretrain_workloads.data.")
    kernels: dict[str, list[Any]] = {}
    for module in modules:
        if not module.name.endswith("__main__"):
            values = vars(importlib.import_module(module.name)).values()
            own = [v for v in values if getattr(v, "__module__", "") == module.name]
            kernels[module.name] = [value for value in own if hasattr(value, "py_func")]
    with_kernels = {name: found for name, found in kernels.items() if found}
    assert len(with_kernels) > 8
    # A kernel that another one calls is compiled with it, and has no signatures of its own.
    called = {name for name, found in with_kernels.items() if any(k.signatures for k in found)}
    assert sorted(with_kernels) == sorted(called)
