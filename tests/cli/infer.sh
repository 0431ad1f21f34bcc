# vim-infer: images, folders, tensors; weights of ours and of others.
source "$(dirname "$0")/common.sh" "$1"
fixtures=${VIM_FIXTURES:-$here/../../../shared/fixtures}
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
checkpoint=$scratch/run/checkpoints/last.safetensors
expect 0 "$bin/vim-train" --config "$scratch/c.yaml" --output "$scratch/run"
infer() { "$bin/vim-infer" --checkpoint "$checkpoint" "$@"; }

# The evaluation images as PNG files get the classes that vim-eval counts.
expect 0 "$bin/vim-eval" --checkpoint "$checkpoint" --json "$scratch/eval.json"
python3 - "$scratch" <<'PYTHON'
import os, struct, sys, zlib
scratch = sys.argv[1]
pixels = open(f"{scratch}/data/t10k-images-idx3-ubyte", "rb").read()[16:]
labels = open(f"{scratch}/data/t10k-labels-idx1-ubyte", "rb").read()[8:]
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for i, label in enumerate(labels):
    folder = f"{scratch}/images/{label}"
    os.makedirs(folder, exist_ok=True)
    rows = b"".join(b"\0" + pixels[64 * i + 8 * y:64 * i + 8 * y + 8] for y in range(8))
    with open(f"{folder}/{i:02}.png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
expect 0 infer "$scratch/images" --top-k 2 --json "$scratch/r.json" --features "$scratch/f.safetensors"
python3 - "$scratch" <<'PYTHON'
import json, struct, sys
scratch = sys.argv[1]
results = json.load(open(f"{scratch}/r.json"))
assert len(results) == 32 and all(len(r["predictions"]) == 2 for r in results), results
assert all(abs(sum(p["probability"] for p in r["predictions"]) - 1) < 1e-5 for r in results)
right = sum(r["file"].split("/")[-2] == r["predictions"][0]["class"] for r in results)
assert abs(100 * right / 32 - json.load(open(f"{scratch}/eval.json"))["top1"]) < 1e-9, right
with open(f"{scratch}/f.safetensors", "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
assert header["features"]["shape"] == [32, 16], header
assert len(json.loads(header["__metadata__"]["files"])) == 32
PYTHON
expect 0 infer "$scratch/images/0/00.png"
says "00.png: "

# A broken image is named, and the others are done.
echo "not an image" >"$scratch/images/0/broken.png"
expect 1 infer "$scratch/images" --json "$scratch/r.json"
says "images/0/broken.png"
says "1 of 33 images could not be read"
[ "$(grep -c '"file"' "$scratch/r.json")" = 32 ] || fail "the others are missing"
expect 1 infer "$scratch/data"
says "no .jpg, .jpeg or .png files below it"

expect 2 "$bin/vim-infer" "$scratch/images"
says "--checkpoint or --weights is required"
expect 2 infer
says "an image or --tensor is required"
expect 2 "$bin/vim-infer" --weights "$checkpoint" "$scratch/images"

# The official logits, of weights under all the names that they come with.
[ -d "$fixtures" ] || { echo "skipped: no fixtures"; exit 77; }
# close THEIRS OURS TENSOR...: equal to 1e-5.
close() {
  python3 - "$@" <<'PYTHON'
import json, struct, sys
def read(path, name):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        begin, end = header[name]["data_offsets"]
        f.seek(begin, 1)
        return struct.unpack(f"<{(end - begin) // 4}f", f.read(end - begin))
for name in sys.argv[3:]:
    theirs, ours = read(sys.argv[1], name), read(sys.argv[2], name)
    assert len(theirs) == len(ours) and max(abs(a - b) for a, b in zip(theirs, ours)) < 1e-5, name
PYTHON
}
cat >"$scratch/base.yaml" <<'YAML'
model: {image_size: 32, patch_size: 8, depth: 4, embed_dim: 64, num_classes: 10}
YAML
for weights in base.safetensors checkpoints/official.pth checkpoints/model_only_legacy.pth; do
  expect 0 "$bin/vim-infer" --weights "$fixtures/$weights" --config "$scratch/base.yaml" \
    --tensor "$fixtures/base.safetensors" --output "$scratch/out.safetensors"
  close "$fixtures/base.safetensors" "$scratch/out.safetensors" logits features
done
expect 1 "$bin/vim-infer" --weights "$fixtures/base.safetensors" --config "$scratch/base.yaml" --set model.depth=5 \
  --tensor "$fixtures/base.safetensors" --output "$scratch/out.safetensors"
says "its weights do not fit this model (it lacks layers.4."

# DeiT's: a dict {"model": weights} in a .pth.
cat >"$scratch/deit.yaml" <<'YAML'
model: {name: vit, image_size: 32, patch_size: 8, depth: 2, embed_dim: 64, num_classes: 10, vit: {heads: 2}}
YAML
python3 - "$fixtures/deit.safetensors" "$scratch/deit.safetensors" <<'PYTHON'
import json, struct, sys
with open(sys.argv[1], "rb") as f:
    header = f.read(struct.unpack("<Q", f.read(8))[0])
    tensors = {name.replace("param/", "model/"): value for name, value in json.loads(header).items()}
    header = json.dumps(tensors).encode()
    with open(sys.argv[2], "wb") as out:
        out.write(struct.pack("<Q", len(header)) + header + f.read())
PYTHON
expect 0 "$bin/vim-convert" extract "$scratch/deit.safetensors" "$scratch/plain.safetensors" --weights model
expect 0 "$bin/vim-convert" convert "$scratch/deit.safetensors" "$scratch/deit.pth"
for weights in "$fixtures/deit.safetensors" "$scratch/deit.pth" "$scratch/plain.safetensors"; do
  expect 0 "$bin/vim-infer" --weights "$weights" --config "$scratch/deit.yaml" --tensor "$fixtures/deit.safetensors" \
    --output "$scratch/out.safetensors"
  says "32 weights matched"
  close "$fixtures/deit.safetensors" "$scratch/out.safetensors" logits
done

# DeiT fine-tuned: other classes, another image size.
make_photos "$scratch/photos"
expect 0 "$bin/vim-train" --config "$scratch/c.yaml" "${photos[@]}" --set model.name=vit --set model.image_size=16 \
  --set model.patch_size=8 --set model.embed_dim=64 --set model.vit.heads=2 \
  --set 'data.train_transforms=[{random_resized_crop: {size: 16}}]' \
  --set 'data.eval_transforms=[{resize: {size: 16}}, {center_crop: 16}]' \
  --set model.init_from="$scratch/deit.pth" --set train.epochs=1 --output "$scratch/tuned"
says "reshaped: pos_embed [1, 17, 64] to [1, 5, 64]; new for other classes: head.bias, head.weight"
