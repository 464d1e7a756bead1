"""Where arrays lie and how the step runs on many devices."""
