# Data that cannot be used: one located sentence.
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
train() { "$bin/vim-train" --config "$scratch/c.yaml" --output "$scratch/run" --overwrite "$@"; }

expect 1 train --set data.root=/no/such/folder
says "/no/such/folder"
expect 2 train --set model.num_classes=7
says "set model.num_classes to 2"
expect 2 train --set data.batch_size=1000
says "data.batch_size"

# An image folder with a broken photograph: named; skipped when asked to.
python3 - "$scratch/photos" <<'PYTHON'
import os, struct, sys, zlib
def png(path, shade):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rows = b"".join(b"\0" + bytes([shade, shade, 255 - shade] * 12) for _ in range(10))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 10, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for split, count in (("train", 20), ("val", 4)):
    for label, name in enumerate(("cats", "dogs")):
        for i in range(count):
            png(f"{sys.argv[1]}/{split}/{name}/{i:02}.png", 40 + 120 * label + i)
open(f"{sys.argv[1]}/train/cats/03.png", "wb").write(b"not an image")
PYTHON
photos=(--set data.format=image_folder --set "data.root=$scratch/photos" --set data.channels=3 --set model.in_channels=3
  --set 'data.mean=[0.5,0.5,0.5]' --set 'data.std=[0.2,0.2,0.2]' --set 'data.batch_size=8'
  --set 'data.train_transforms=[{random_resized_crop: {size: 8}}, flip]'
  --set 'data.eval_transforms=[{resize: {size: 8}}, {center_crop: 8}]')
expect 1 train "${photos[@]}"
says "train/cats/03.png"
expect 0 train "${photos[@]}" --set data.on_error=skip
says "train/cats/03.png"
mkdir "$scratch/photos/train/empty" "$scratch/photos/val/empty"
expect 1 train "${photos[@]}"
says "empty"
