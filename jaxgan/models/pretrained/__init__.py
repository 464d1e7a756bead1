"""Networks with published weights, and the mapping of the names in their files to those of this package."""
