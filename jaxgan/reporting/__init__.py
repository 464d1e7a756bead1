"""The output of a run while it trains: scalars, TensorBoard events, plots, progress, throughput, traces."""
