"""Detectors of images: features of a network, pixel maps, open sets, wafer maps."""
