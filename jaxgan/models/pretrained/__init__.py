"""Networks with published weights, and how the names in their files map to ours."""
