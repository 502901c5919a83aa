"""Adds a flag, as extensions do before anything else is imported."""


def preload(parser):
    parser.add_argument("--probe-flag", type=str, default="unset")
