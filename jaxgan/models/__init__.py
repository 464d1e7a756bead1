"""Models: each file defines one family of networks. They import no losses, tasks or training code."""
