"""Random chains of `vim-data apply`'s transforms, against Pillow: no value may differ.

    python3 tests/cli/pillow.py vim-data [--photos DIR] [--chains 60] [--seed 0]

Without photographs it makes images of its own. Exit code 77 where Pillow or NumPy is missing.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    from PIL import Image, ImageEnhance, ImageFilter, ImageOps
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "box", "bilinear", "bicubic", "lanczos")}
ENHANCERS = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color}
AFFINE = {"ShearX": lambda v, w, h: (1, v, 0, 0, 1, 0), "ShearY": lambda v, w, h: (1, 0, 0, v, 1, 0),
          "TranslateX": lambda v, w, h: (1, 0, v, 0, 1, 0), "TranslateY": lambda v, w, h: (1, 0, 0, 0, 1, v),
          "TranslateXRel": lambda v, w, h: (1, 0, v * w, 0, 1, 0), "TranslateYRel": lambda v, w, h: (1, 0, 0, 0, 1, v * h)}
# An operation of timm: how its argument is drawn, and what it does.
VALUES = {
    "AutoContrast": (lambda d: 0, lambda i, v: ImageOps.autocontrast(i)),
    "Equalize": (lambda d: 0, lambda i, v: ImageOps.equalize(i)),
    "Invert": (lambda d: 0, lambda i, v: ImageOps.invert(i)),
    "Posterize": (lambda d: d.randint(1, 8), ImageOps.posterize),
    "Solarize": (lambda d: d.randint(0, 256), ImageOps.solarize),
    "SolarizeAdd": (lambda d: d.randint(0, 128), lambda i, v: i.point([min(255, x + v) if x < 128 else x
                                                                       for x in range(256)] * 3)),
    "Color": (lambda d: d.uniform(0, 2), lambda i, v: ImageEnhance.Color(i).enhance(v)),
    "Contrast": (lambda d: d.uniform(0, 2), lambda i, v: ImageEnhance.Contrast(i).enhance(v)),
    "Brightness": (lambda d: d.uniform(0, 2), lambda i, v: ImageEnhance.Brightness(i).enhance(v)),
    "Sharpness": (lambda d: d.uniform(0, 2), lambda i, v: ImageEnhance.Sharpness(i).enhance(v)),
    "Desaturate": (lambda d: d.uniform(0, 1), lambda i, v: ImageEnhance.Color(i).enhance(1 - v)),
    "GaussianBlur": (lambda d: d.uniform(0.1, 2), lambda i, v: i.filter(ImageFilter.GaussianBlur(v))),
}


def crop(draw, image):
    width, height = image.size
    left, top = draw.randint(-9, width - 1), draw.randint(-9, height - 1)
    box = [left, top, draw.randint(left + 1, width + 9), draw.randint(top + 1, height + 9)]
    return {"box": box}, image.crop(box)


def resize(draw, image):
    size, name = [draw.randint(1, 400), draw.randint(1, 400)], draw.choice(list(FILTERS))
    return {"size": size, "filter": name}, image.resize(size, FILTERS[name])


def resize_short(draw, image):
    side, name = draw.randint(8, 300), draw.choice(list(FILTERS))
    width, height = image.size
    short, long = min(image.size), max(image.size)
    long = max(1, int(side * long / short))
    if long > 4000:  # a strip
        return None
    return {"size": side, "filter": name}, image.resize((side, long) if width <= height else (long, side), FILTERS[name])


def flip(draw, image):
    return {}, ImageOps.mirror(image)


def grayscale(draw, image):
    return {}, image.convert("L").convert("RGB")


def solarize(draw, image):
    threshold = draw.randint(0, 256)
    return {"threshold": threshold}, ImageOps.solarize(image, threshold)


def gaussian_blur(draw, image):
    radius = draw.uniform(0, 4)
    return {"radius": radius}, image.filter(ImageFilter.GaussianBlur(radius))


def adjust(draw, image):
    factors = {name: draw.uniform(0.2, 2) for name in draw.sample(list(ENHANCERS), draw.randint(0, 3))}
    for name, enhancer in ENHANCERS.items():  # in this order
        if name in factors:
            image = enhancer(image).enhance(factors[name])
    if draw.random() < 0.5:
        factors["hue"] = draw.uniform(-0.5, 0.5)
        hue, saturation, value = image.convert("HSV").split()
        turned = (np.asarray(hue).astype(int) + int(factors["hue"] * 255)) % 256
        image = Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), saturation, value)).convert("RGB")
    return factors, image


def rand_augment_op(draw, image):
    fill = [draw.randrange(256) for _ in range(3)]
    name = draw.choice([*VALUES, *AFFINE, "Rotate"])
    fields = {"name": name, "filter": draw.choice(["bilinear", "bicubic"]), "fill": fill}
    style = {"resample": FILTERS[fields["filter"]], "fillcolor": tuple(fill)}
    if name in VALUES:
        value, apply = VALUES[name]
        fields["argument"] = value(draw)
        return fields, apply(image, fields["argument"])
    if name == "Rotate":
        fields["argument"] = draw.uniform(-180, 180)
        return fields, image.rotate(fields["argument"], **style)
    fields["argument"] = draw.uniform(-100, 100) if name in ("TranslateX", "TranslateY") else draw.uniform(-0.5, 0.5)
    matrix = AFFINE[name](fields["argument"], *image.size)
    return fields, image.transform(image.size, Image.Transform.AFFINE, matrix, **style)


def chain(draw, image):
    """A list of transforms, and the image after them."""
    steps = []
    for transform in draw.choices([crop, resize, resize_short, flip, grayscale, solarize, gaussian_blur, adjust,
                                   rand_augment_op, rand_augment_op, rand_augment_op], k=draw.randint(1, 3)):
        done = transform(draw, image)
        if done is None:
            continue
        fields, image = done
        steps.append({transform.__name__: fields})
    return steps, image


def make_images(draw, folder):
    """JPEGs and PNGs of soft and sharp shapes, of many sizes and kinds."""
    for i in range(24):
        size = draw.randint(20, 500), draw.randint(20, 500)
        coarse = np.random.default_rng(draw.randrange(1 << 30)).integers(0, 256, (draw.randint(2, 40),) * 2 + (3,))
        image = Image.fromarray(coarse.astype(np.uint8)).resize(size, draw.choice(list(FILTERS.values())))
        if i % 4 == 3:
            image.convert(draw.choice(["RGB", "L", "P"])).save(folder / f"{i}.png")
        else:
            image.convert(draw.choice(["RGB", "RGB", "L"])).save(
                folder / f"{i}.jpg", quality=draw.randint(30, 100), subsampling=draw.randrange(3),
                progressive=draw.random() < 0.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vim_data")
    parser.add_argument("--photos", type=Path, help="folder with images to use")
    parser.add_argument("--chains", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    differing = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.photos or Path(scratch)
        if not args.photos:
            make_images(draw, folder)
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        out = Path(scratch, "out.png")
        values = transforms = 0
        for _ in range(args.chains):
            path = draw.choice(files)
            steps, expected = chain(draw, Image.open(path).convert("RGB"))
            command = [args.vim_data, "apply", "--transforms", json.dumps(steps), str(path), str(out)]
            subprocess.run(command, check=True)
            ours, theirs = np.asarray(Image.open(out)).astype(int), np.asarray(expected).astype(int)
            values += theirs.size
            transforms += len(steps)
            if ours.shape != theirs.shape or (ours != theirs).any():
                differing += 1
                off = abs(ours - theirs) if ours.shape == theirs.shape else None
                print(f"{path.name}: {json.dumps(steps)}: ", f"{ours.shape} instead of {theirs.shape}" if off is None else
                      f"{(off > 0).mean():.2%} of the values differ, by {off.max()} at most")
    print(f"{args.chains} chains of {transforms} transforms, {values:,} values, against Pillow {Image.__version__}: "
          f"{differing} chains differ")
    return differing > 0


if __name__ == "__main__":
    sys.exit(main())
