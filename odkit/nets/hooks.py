"""What named submodules of a network put out, taken by forward hooks that leave no trace."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

import torch

__all__ = ["listening", "pooled"]

_one_at_a_time = threading.RLock()  # hooks and modes belong to the model, which threads may share


@contextmanager
def listening(model: torch.nn.Module, layers: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Inside the block the model is in evaluation mode and one call fills the yielded dict: layer -> its output.

    Outputs are copies: what comes behind a layer may write into its output (`ReLU(inplace=True)`, `out += x`).
    Afterwards, and after an exception too, the hooks are gone and every submodule is back in the mode it was in.
    Threads take turns.

    Raises
    ------
    ValueError
        For a layer that the model does not have (the message lists those it has), a layer that is called twice, and
        an output that is no tensor.
    """
    modules = dict(model.named_modules(remove_duplicate=False))  # a submodule may have two names
    unknown = [name for name in layers if name not in modules or name == ""]
    if unknown:
        known = [name for name in modules if name]
        near = get_close_matches(unknown[0], known, n=3, cutoff=0.5)
        raise ValueError(
            f"FeaturePyramid: {type(model).__name__} has no layer {', '.join(map(repr, unknown))}"
            f"{'; the nearest are ' + ', '.join(map(repr, near)) if near else ''}; it has {', '.join(known)}"
        )
    outputs: dict[str, torch.Tensor] = {}

    def record(name: str):
        def hook(module: torch.nn.Module, inputs: tuple, output: object) -> None:
            if not isinstance(output, torch.Tensor):
                raise ValueError(
                    f"FeaturePyramid: layer {name!r} puts out a {type(output).__name__}, not a tensor; "
                    "name a submodule inside it"
                )
            if name in outputs:
                raise ValueError(
                    f"FeaturePyramid: layer {name!r} is called more than once in one pass, so its output is not one "
                    "level; name the submodules around it"
                )
            outputs[name] = output.clone()

        return hook

    with _one_at_a_time:
        modes = {module: module.training for module in model.modules()}
        handles = []
        try:
            handles += [modules[name].register_forward_hook(record(name)) for name in dict.fromkeys(layers)]
            model.eval()
            yield outputs
        finally:
            for handle in handles:
                handle.remove()
            for module, training in modes.items():
                module.training = training


def pooled(name: str, outputs: dict[str, torch.Tensor], pool: str | None, cells: int = 1) -> torch.Tensor:
    """The output of a layer as rows: as it is, or "avg" or "max" over cells x cells parts of maps; None: as maps."""
    if name not in outputs:
        raise ValueError(f"FeaturePyramid: layer {name!r} is never called in a pass of the model; name another one")
    level = outputs[name]
    if level.ndim == 4 and pool is not None:
        over = torch.nn.functional.adaptive_avg_pool2d if pool == "avg" else torch.nn.functional.adaptive_max_pool2d
        return over(level, cells).flatten(1)
    if level.ndim != (4 if pool is None else 2):
        raise ValueError(
            f"FeaturePyramid: layer {name!r} puts out shape {tuple(level.shape)}; maps (n, channels, height, width)"
            f"{' are needed' if pool is None else ' or rows (n, channels) are needed'}"
        )
    return level
