"""Models: one family of networks a file. They import neither losses, tasks nor training."""
