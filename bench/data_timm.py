"""What timm and Pillow make of the same photographs as `vim-data bench DIR`, in a second of a core's time.

    python3 bench/data_timm.py DIR [SECONDS]      (needs timm, torchvision, Pillow)
"""
import sys
import time
from pathlib import Path

import torch
from PIL import Image, ImageOps
from timm.data import create_transform

torch.set_num_threads(1)
root, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
files = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))

# Pillow 13 refuses the 0 bits that timm asks for at the highest magnitude; before, they made black.
posterize = ImageOps.posterize
ImageOps.posterize = lambda image, bits: posterize(image, bits) if bits else Image.new(image.mode, image.size)


def rate(name, work):
    for path in files[:8]:
        work(path)
    start, done = time.process_time(), 0
    while time.process_time() - start < seconds:
        work(files[done % len(files)])
        done += 1
    print(f"{name}: {done / (time.process_time() - start):.0f} images/s", flush=True)


def opened(path):
    return Image.open(path).convert("RGB")


crop = create_transform(224, is_training=True, color_jitter=None, interpolation="bicubic")
deit = create_transform(224, is_training=True, auto_augment="rand-m9-mstd0.5-inc1", interpolation="bicubic",
                        re_prob=0.25, re_mode="pixel")
rate("decode", opened)
rate("crop + flip + normalize", lambda path: crop(opened(path)))
rate("DeiT recipe", lambda path: deit(opened(path)))
