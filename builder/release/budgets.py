"""Are the measured figures within the manifest's budgets? Pure: figures in, a list of misses out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.manifest.model import Verify


def misses(budgets: Verify, metrics: Mapping[str, Any], latency: Mapping[str, Any]) -> list[str]:
    """One line for each budget that is missed, saying by how much; the constant answer is always judged."""
    found = []
    stages = metrics["stages"]
    if metrics["degenerate"]["constant_answer"]:
        found.append("the model gives nearly the same answer for every picture, so its mAP means nothing")
    released = stages["tflite_litert"]
    if budgets.min_map50 is not None and released["map50"] < budgets.min_map50:
        baseline = metrics["constant_baseline"]["map50"]
        found.append(
            f"min_map50: mAP@0.5 is {released['map50']:.3f}, {budgets.min_map50 - released['map50']:.3f} below "
            f"{budgets.min_map50} (one constant box gets {baseline:.3f})"
        )
    # A quantized model is held against the float network; of a float one, every stage against the frozen graph.
    quantized = metrics["quantization"]["type"] != "float32"
    if budgets.max_quant_drop is not None and quantized:
        whole = stages.get("float", stages["frozen"])
        drop = whole["map"] - released["map"]
        if drop > budgets.max_quant_drop:
            found.append(
                f"max_quant_drop: {metrics['quantization']['type']} is {drop:.4f} mAP below the float graph, "
                f"{budgets.max_quant_drop} allowed"
            )
    if budgets.max_map_drop is not None and not quantized:
        for name, stage in sorted(stages.items()):
            drop = stages["frozen"]["map"] - stage["map"]
            if drop > budgets.max_map_drop:
                found.append(
                    f"max_map_drop: {name} is {drop:.4f} mAP below the frozen graph, {budgets.max_map_drop} allowed"
                )
    return found + of_any_weights(budgets, metrics, latency)


def of_any_weights(budgets: Verify, metrics: Mapping[str, Any], latency: Mapping[str, Any]) -> list[str]:
    """One line for each missed budget of size and time, which hardly depend on what the model has learnt."""
    found = []
    size = metrics["size"]
    if budgets.max_size is not None and size > budgets.max_size:
        found.append(f"max_size: {size:,} bytes, {size - budgets.max_size:,} over {budgets.max_size:,}")
    median = latency["latency_ms"]["median"]
    if budgets.max_latency_ms is not None and median > budgets.max_latency_ms:
        found.append(
            f"max_latency_ms: {median:.1f} ms, {median - budgets.max_latency_ms:.1f} ms over "
            f"{budgets.max_latency_ms} on {latency['cpu']}"
        )
    return found
