"""The version, in one place that the binary carries too."""

VERSION = "0.1.0"
