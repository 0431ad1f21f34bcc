"""Writes tests/fuzz/seeds anew: small files of every kind that the readers know.

    python3 tests/fuzz/make_seeds.py build/release/bin/vim-data      (needs numpy, Pillow, torch)
"""
import collections
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

SEEDS = Path(__file__).parent / "seeds"


def put(kind, name, data):
    (SEEDS / kind).mkdir(parents=True, exist_ok=True)
    (SEEDS / kind / name).write_bytes(data)


def picture(mode="RGB", width=23, height=18):
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 30, (height, width))
    rgb = np.stack([x * 9 + noise, y * 12, (x + y) * 5 + noise], -1).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpegs():
    for name, subsampling in {"444": 0, "422": 1, "420": 2}.items():
        put("jpeg", f"{name}.jpg", encoded(picture(), "JPEG", quality=80, subsampling=subsampling))
    put("jpeg", "grey.jpg", encoded(picture("L"), "JPEG"))
    put("jpeg", "cmyk.jpg", encoded(picture("CMYK"), "JPEG"))
    put("jpeg", "progressive.jpg", encoded(picture(), "JPEG", progressive=True))
    put("jpeg", "restart.jpg", encoded(picture(width=40, height=40), "JPEG", restart_marker_rows=1))
    exif = Image.Exif()
    exif[0x0112] = 6
    put("jpeg", "exif.jpg", encoded(picture(), "JPEG", exif=exif))


def tars():
    members = {"0/a.jpg": b"not read", "0/a.cls": b"1", "0/b.png": b"nor this", "0/b.json": b'{"label": 2}',
               "0/" + "long" * 40 + ".jpg": b"", "0/" + "long" * 40 + ".txt": b"a name"}
    for name, form in {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}.items():
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form, pax_headers={"comment": "global"}) as tar:
            for member, content in members.items():
                if name == "ustar" and len(member) > 100:
                    continue
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        put("tar", f"{name}.tar", out.getvalue())


def interlaced_png():
    """One pixel alone, so that Adam7's first pass holds all: Pillow writes no interlaced files."""
    import zlib
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 1)
    rows = b"\0\x10" + b"\0\x20" + b"\0\x30" + b"\0\x40\x50\x60"  # passes 1, 4 and 6, and the second row
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pngs():
    for name, mode in {"rgb": "RGB", "rgba": "RGBA", "grey": "L", "grey_alpha": "LA", "palette": "P",
                       "one_bit": "1"}.items():
        put("png", f"{name}.png", encoded(picture(mode), "PNG"))
    put("png", "grey16.png", encoded(Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000), "PNG"))
    put("png", "transparent.png", encoded(picture("P"), "PNG", transparency=3))
    put("png", "interlaced.png", interlaced_png())


def arrays():
    images = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + bytes(range(24))
    put("idx", "images", images)
    put("idx", "images.gz", gzip.compress(images, mtime=0))
    put("idx", "labels", struct.pack(">4BI", 0, 0, 8, 1, 2) + b"\1\0")
    put("cifar", "two", bytes([1, 7]) + bytes(3072) + bytes([2, 99]) + bytes(3072))


def packed_and_indexed(vim_data):
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "val"):
            for label in ("a", "b"):
                path = Path(folder, "in", split, label)
                path.mkdir(parents=True)
                (path / "1.jpg").write_bytes(encoded(picture(), "JPEG"))
                (path / "2.png").write_bytes(encoded(picture("L", 5, 4), "PNG"))
        for name, options in {"files": [], "pixels": ["--raw", "--short-side", "5"]}.items():
            subprocess.run([vim_data, "pack", *options, f"{folder}/in", f"{folder}/{name}"], check=True)
            put("packed", name, Path(folder, name, "train.vimpack").read_bytes())
        subprocess.run([vim_data, "pack", f"{folder}/in", f"{folder}/shards", "--shards", "3"], check=True)
        for path in Path(folder).rglob("*"):
            os.utime(path, (0, 0))
        for root, kind, name in ("in", "image_folder", "folders"), ("shards", "webdataset", "shards"):
            subprocess.run([vim_data, "index", f"{folder}/{root}", "--format", kind, "--output", folder], check=True)
            put("index", name, Path(folder, "train.vimindex").read_bytes())


def content():
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = collections.OrderedDict(weight=base, row=base[1], turned=base.t(), half=base.half(), bf16=base.bfloat16(),
                                    whole=torch.tensor([1, 2]), truth=torch.tensor([True, False]),
                                    byte=torch.tensor(7, dtype=torch.uint8), none=torch.empty(0, 3))
    return {"model": state, "epoch": 3, "lr": [1e-3, 2e-4], "name": "tiny", "state": {0: {"step": torch.tensor(5.0)}},
            "huge": 1 << 70, "flags": (True, None), "set": {1, 2}}


def torches():
    for name, modern in {"zip": True, "legacy": False}.items():
        out = io.BytesIO()
        torch.save(content(), out, _use_new_zipfile_serialization=modern)
        put("torch", name, out.getvalue())

    class Storage(tuple):
        pass

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            return tuple(value) if isinstance(value, Storage) else None

    class Tensor:
        def __init__(self, *sizes):
            self.sizes = sizes

        def __reduce__(self):
            strides = tuple(int(np.prod(self.sizes[i + 1:])) for i in range(len(self.sizes)))
            storage = Storage(("storage", torch.FloatStorage, "0", "cpu", 24))
            return torch._utils._rebuild_tensor_v2, (storage, 0, self.sizes, strides, False, collections.OrderedDict())

    for protocol in (0, 2, 4, 5):
        if protocol == 0:
            data = pickle.dumps({"a": [1, 2.5, "x"], "b": None}, protocol)
        else:
            out = io.BytesIO()
            Pickler(out, protocol).dump({"model": {"weight": Tensor(3, 4), "bias": Tensor(4)}, "epoch": 3,
                                         "list": [1.5, "x", b"y", None, True], "set": {1, 2}})
            data = out.getvalue()
        put("pickle", f"protocol{protocol}", data)


def safetensors(tensors, metadata):
    header, body = {"__metadata__": metadata} if metadata else {}, b""
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def tensor_files():
    tensors = {"model/weight": ("F32", [2, 3], bytes(24)), "model/half": ("BF16", [2], bytes(4)),
               "optimizer/step": ("I64", [], bytes(8)), "ema/weight": ("F32", [2, 3], bytes(24))}
    put("safetensors", "several", safetensors(tensors, {"name": "x", "text": "ä\n"}))
    put("safetensors", "kinds", safetensors({k: (k, [1], bytes(n)) for k, n in [
        ("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4), ("I16", 2), ("I8", 1), ("U8", 1),
        ("BOOL", 1)]}, {}))
    put("safetensors", "nothing", safetensors({}, {}))
    progress = dict(epoch=1, step_in_epoch=2, step=30, epoch_loss_sum=1.5, best=0.5, best_epoch=1, headline=0.5,
                    ema_headline=0.4)
    # The target adds the hashes that a checkpoint has.
    put("checkpoint", "small", safetensors(tensors, {
        "config": "seed: 3\nmodel:\n  depth: 2\ndata:\n  train_transforms: [flip]\n", "version": "0.1.0",
        "classes": json.dumps(["a", "b"]), "progress": json.dumps(progress), "processes": "1"}))


def configs():
    put("config", "small", b"seed: 3\nmodel:\n  image_size: [224, 320]  # height, width\n  stride: 8\n"
                           b"  direction: full\noptim: {lr: 5e-4, betas: [0.9, 0.999]}\ntrain:\n  epochs: 10\n")
    put("config", "transforms", b"data:\n  format: image_folder\n  root: '/data'\n  train_transforms:\n"
                                b"    - random_resized_crop: {size: 224, scale: [0.2, 1]}\n    - flip\n"
                                b"    - rand_augment: {policy: \"rand-m9-mstd0.5-inc1\"}\n"
                                b"  erasing:\n    p: 0.25\n    mode: pixel\n")
    put("config", "wrong", b"model: {dierction: full}\nmodel: 3\noptim: &a [*a]\n? x\n: y\n--- !!str z\n")


jpegs()
tars()
pngs()
arrays()
packed_and_indexed(sys.argv[1])
torches()
tensor_files()
configs()
