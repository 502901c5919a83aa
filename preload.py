"""Command line flags; the WebUI calls this before anything else is imported."""


def preload(parser):
    parser.add_argument(
        "--instantstyle-models-dir",
        type=str,
        default=None,
        help="a folder with IP-Adapters and CLIP image encoders for InstantStyle",
    )
