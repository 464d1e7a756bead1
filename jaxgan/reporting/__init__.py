"""What a run shows while it trains: scalars, events, plots, progress, throughput, traces."""
