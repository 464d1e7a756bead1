"""Exports trained generators for other runtimes: StableHLO programs and ONNX graphs."""
