"""What timm and Pillow make of the photographs that `vim-data bench` measures, in seconds of a core's time.

    python3 bench/data_timm.py DIR [--seconds 3] [--vim-data build/release/bin/vim-data] [--rounds 3]

With --vim-data both are measured in turns, and the medians compared. Needs timm, torchvision and Pillow.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image, ImageOps
from timm.data import create_transform

# Pillow 13 refuses the 0 bits that timm asks for at the highest magnitude; before, they made black.
posterize = ImageOps.posterize
ImageOps.posterize = lambda image, bits: posterize(image, bits) if bits else Image.new(image.mode, image.size)


def opened(path):
    return Image.open(path).convert("RGB")


crop = create_transform(224, is_training=True, color_jitter=None, interpolation="bicubic")
deit = create_transform(224, is_training=True, auto_augment="rand-m9-mstd0.5-inc1", interpolation="bicubic",
                        re_prob=0.25, re_mode="pixel")
# By the names of vim-data's stages.
WORK = {"decode": opened, "crop + flip + normalize": lambda path: crop(opened(path)),
        "DeiT recipe": lambda path: deit(opened(path))}


def rate(work, files, seconds):
    for path in files[:8]:
        work(path)
    start, done = time.process_time(), 0
    while time.process_time() - start < seconds:
        work(files[done % len(files)])
        done += 1
    return done / (time.process_time() - start)


def ours(args):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([args.vim_data, "bench", args.folder, "--seconds", str(args.seconds), "--workers", "1",
                        "--json", file.name], check=True, capture_output=True)
        stages = json.loads(Path(file.name).read_text())["images_per_second"]
    return {name: figures["one_core"] for name, figures in stages.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=float, default=3, help="of a core's time, a figure")
    parser.add_argument("--vim-data", help="the program to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(p for p in Path(args.folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    theirs, own = {name: [] for name in WORK}, []
    for _ in range(args.rounds):
        for name, work in WORK.items():
            theirs[name].append(rate(work, files, args.seconds))
        if args.vim_data:
            own.append(ours(args))
    for name in WORK:
        figure = statistics.median(theirs[name])
        line = f"{name}: timm + Pillow {figure:.0f} images/s"
        for stage in (name, name + ", fast"):
            if own and stage in own[0]:
                rates = [round_[stage] for round_ in own]
                line += f"; vim-data{stage[len(name):]} {statistics.median(rates):.0f}, " \
                        f"{statistics.median(rates) / figure:.2f} times"
        print(line, flush=True)


main()
