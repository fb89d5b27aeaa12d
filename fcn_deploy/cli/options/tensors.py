"""The options of the commands that write an exported file: which tensors it gives, and where its network computes."""

from __future__ import annotations

import click

from fcn_deploy.cli.options.command import Command, option
from fcn_deploy.cli.options.values import NETWORK_SIZE
from fcn_deploy.vocabulary import OUTPUTS

outputs_option = option(
    "--outputs",
    default="labels",
    metavar="NAMES",
    help="labels, logits and confidence (uint8 per pixel: 255 times the label's probability), as labels,confidence.",
)
network_size_option = option(
    "--network-size",
    type=NETWORK_SIZE,
    metavar="SIZE",
    show_default="the image's, or the model's own",
    help="Size at which the network computes, 512x1024, longest:1024 or 0.5: images are resized to it inside the "
    "graph, and the logits back to the image's size.",
)


class TensorsCommand(Command):
    """Read `--output labels,confidence`, a list of tensors and no file's name, as `--outputs labels,confidence`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = [_names_tensors(arg.removeprefix("--output=")) for arg in args]
        given = list(args)
        for index, arg in enumerate(args):
            if arg.startswith("--output=") and named[index]:
                given[index] = arg.replace("--output=", "--outputs=", 1)
            elif arg == "--output" and any(named[index + 1 : index + 2]):
                given[index] = "--outputs"
        return super().parse_args(ctx, given)


def _names_tensors(text: str) -> bool:
    return all(name.strip() in OUTPUTS for name in text.split(","))
