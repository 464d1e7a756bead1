"""One file for each `--mode`, each with `run(config, workdir, options) -> exit status`."""
