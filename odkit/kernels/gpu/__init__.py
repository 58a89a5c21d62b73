"""Kernels on torch: same files, function names and signatures as `odkit.kernels.cpu`, tensors in, tensors out."""
