# vim-data: fixed transforms, the contact sheet, what is wrong with a folder, its statistics.
source "$(dirname "$0")/common.sh" "$1"
tool=$bin/vim-data

# photos/{train,val}/{cats,dogs,birds}: PNGs of smooth random shades, with everything wrong that can be.
python3 - "$scratch/photos" <<'PYTHON'
import os, random, shutil, struct, sys, zlib
root = sys.argv[1]
def png(path, pixel, width=48, height=40):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
def blotches(seed, shift=0):
    shades = [random.Random(seed * 1000 + i).randrange(200) for i in range(99)]
    return lambda x, y: [shades[x // 6 * 9 + y // 6] + shift, shades[x // 6 + y // 6 * 9] + shift, 99]
for i in range(12):
    png(f"{root}/train/cats/{i:02}.png", blotches(i))
    png(f"{root}/train/dogs/{i:02}.png", blotches(100 + i))
png(f"{root}/val/cats/0.png", blotches(200))
png(f"{root}/val/dogs/0.png", blotches(300))
PYTHON

photos=$scratch/photos
expect 0 "$tool" check "$photos"
says "26 files, 0 findings"
expect 0 "$tool" stats "$photos"
says "images: 26"
says "width: 48 to 48"
says "train/cats"
expect 0 "$tool" stats "$photos" --json "$scratch/stats.json"
python3 -c 'import json, sys
s = json.load(open(sys.argv[1]))
assert s["classes"]["train/cats"] == 12 and abs(s["mean"][2] - 99 / 255) < 1e-12 and s["std"][2] < 1e-6' "$scratch/stats.json" ||
  fail "statistics"

# A crop of one pixel tells its colour; a broken list names the entry.
expect 0 "$tool" apply --transforms '[{crop: [3, 2, 4, 3]}, {resize: {size: [7, 5]}}, {rand_augment_op: Invert}]' \
  "$photos/train/cats/00.png" "$scratch/o.png"
expect 0 "$tool" apply --transforms '[{rand_augment_op: Invert}, {crop: [3, 2, 4, 3]}, {resize: [7, 5]}]' \
  "$photos/train/cats/00.png" "$scratch/o2.png"
same_file "$scratch/o.png" "$scratch/o2.png"
expect 2 "$tool" apply --transforms '[{crop: [5, 3, 5, 9]}]' "$photos/train/cats/00.png" "$scratch/o.png"
says "transforms.0.box"
expect 2 "$tool" apply --transforms '[{rotat: 3}]' "$photos/train/cats/00.png" "$scratch/o.png"
says "rotat"
expect 1 "$tool" apply --transforms '[]' "$scratch/none.png" "$scratch/o.png"
says "none.png"
expect 2 "$tool" apply --transforms '[flip' "$photos/train/cats/00.png" "$scratch/o.png"
says "vim-data: --transforms: "
expect 2 "$tool" apply --transforms '[flip]' "$photos/train/cats/00.png" "$scratch/o.jpg"
says "o.jpg: would be a PNG file; call it .png"
expect 2 "$tool" apply --transforms '[flip]' "$photos/train/cats/00.png"
says "OUT is required"
expect 2 "$tool"
expect 2 "$tool" chekc "$photos"
says "there is no command 'chekc'; did you mean 'check'?"
expect 2 "$tool" stats "$photos" --format tar
says "--format: expected image_folder|webdataset|packed, got 'tar'"
says "Try 'vim-data stats --help'."

# The sheet is a function of the seed.
cat >"$scratch/c.yaml" <<YAML
model: {image_size: 32, patch_size: 8, embed_dim: 16, depth: 2, num_classes: 2}
data: {root: $photos, repeats: 2, erasing: {p: 0.5}, mixing: {cutmix_alpha: 1},
       train_transforms: [random_resized_crop, flip, rand_augment, three_augment, color_jitter]}
YAML
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 "$scratch/a.png"
says "random_resized_crop | flip | rand_augment | three_augment | color_jitter | erasing | mixing"
says "row 4"
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 "$scratch/b.png"
same_file "$scratch/a.png" "$scratch/b.png"
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 --set seed=1 "$scratch/b.png"
! cmp -s "$scratch/a.png" "$scratch/b.png" || fail "another seed, the same sheet"

# Everything that is wrong is found, and told in three ways.
cd "$photos"
head -c 200 train/cats/03.png >train/cats/half.png
cp train/cats/05.png val/cats/copy.png
cp train/cats/06.png train/dogs/copy.png
cp train/dogs/07.png train/dogs/same.png
mv train/dogs/08.png train/dogs/08.jpg
"$tool" apply --transforms '[{adjust: {brightness: 1.02}}]' train/dogs/09.png train/dogs/brighter.png
"$tool" apply --transforms '[flip, {adjust: {brightness: 1.02}}]' train/dogs/10.png train/dogs/mirrored.png
"$tool" apply --transforms '[flip]' train/dogs/11.png val/cats/mirrored.png
"$tool" apply --transforms '[{resize: [48, 3]}]' train/dogs/01.png train/dogs/strip.png
mkdir train/fish && touch notes.txt
mkdir -p train/birds val/birds && cp train/cats/00.png train/birds/ && cp val/cats/0.png val/birds/
expect 1 "$tool" check "$photos" --json "$scratch/c.json" --html "$scratch/c.html" --workers 3
says "train/cats/half.png"
python3 - "$scratch/c.json" <<'PYTHON' || fail "findings"
import json, sys
found = {}
for f in json.load(open(sys.argv[1]))["findings"]:
    found.setdefault(f["problem"], []).append((sorted(f["files"]), f["message"]))
files = lambda kind: sorted(files for files, _ in found[kind])
assert files("broken") == [["train/cats/half.png"]], found
assert files("leak") == [["train/cats/05.png", "val/cats/copy.png"], ["train/dogs/11.png", "val/cats/mirrored.png"]], found
assert ["train/cats/06.png", "train/dogs/copy.png"] in files("two_classes"), found
assert files("duplicate") == [["train/dogs/07.png", "train/dogs/same.png"]], found
assert files("wrong_name") == [["train/dogs/08.jpg"]], found
assert files("look_alike") == [["train/dogs/09.png", "train/dogs/brighter.png"]], found
assert files("mirrored") == [["train/dogs/10.png", "train/dogs/mirrored.png"]], found
assert files("not_read") == [["notes.txt"]], found
assert files("extreme_size") == [["train/dogs/strip.png"]], found
assert [m for _, m in found["empty_class"]] == ["train/fish has no image that can be read"], found
assert [m for _, m in found["tiny_class"]] == ["train/birds has only 1 image"], found
assert [m for _, m in found["missing_class"]] == ["fish is a class of train and not of val"], found
PYTHON
grep -q 'data:image/jpeg;base64' "$scratch/c.html" || fail "no thumbnails"
expect 1 "$tool" check "$scratch/none"
says "no such folder"
mkdir "$scratch/empty"
expect 1 "$tool" check "$scratch/empty"
says "empty: holds no files"

# Packed, the same images train to the same numbers.
cd "$scratch"
rm -r "$photos/train/fish" "$photos/train/birds" "$photos/val/birds" "$photos/train/cats/half.png"
rm "$photos/notes.txt"
expect 0 "$tool" pack "$photos" "$scratch/packed" --workers 2
says "train.vimpack"
expect 0 "$tool" list "$scratch/packed/train.vimpack"
says "cats/00.png"
expect 0 "$tool" unpack "$scratch/packed/val.vimpack" "$scratch/again"
same_file "$scratch/again/cats/0.png" "$photos/val/cats/0.png"
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 "$scratch/a.png"
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 --set data.format=packed --set "data.root=$scratch/packed" \
  "$scratch/b.png"
same_file "$scratch/a.png" "$scratch/b.png"

# What is found and counted does not depend on how the images are kept.
findings() {  # --format FORMAT DIR: what is wrong, by the images' own names
  expect 1 "$tool" check "$@" --json "$scratch/c.json" --html "$scratch/c.html"
  grep -q 'data:image/jpeg;base64' "$scratch/c.html" || fail "no thumbnails of $*"
  python3 -c 'import json, re, sys
for f in json.load(open(sys.argv[1]))["findings"]:
    name = lambda path: re.sub("^.*, |^train/|^val/|[.](png|jpg)$", "", path)
    if f["problem"] != "wrong_name":  # files in shards and packed files are named by their content, or not at all
        print(f["problem"], re.sub("EXIF.*", "", f["message"]), sorted(map(name, f["files"])))' "$scratch/c.json" | sort
}
expect 0 "$tool" pack "$photos" "$scratch/written" --shards 7
says "train-000000.tar"
findings "$photos" >"$scratch/expected"
[ "$(wc -l <"$scratch/expected")" -ge 6 ] || fail "few findings"
findings --format packed "$scratch/packed" >"$scratch/found"
diff "$scratch/expected" "$scratch/found" || fail "other findings in packed files"
findings --format webdataset "$scratch/written" >"$scratch/found"
diff "$scratch/expected" "$scratch/found" || fail "other findings in shards"
expect 0 "$tool" stats "$photos"
cp "$scratch/out" "$scratch/expected"
for format in packed webdataset; do
  [ $format = packed ] && folder=$scratch/packed || folder=$scratch/written
  expect 0 "$tool" stats --format $format "$folder"
  diff "$scratch/expected" "$scratch/out" || fail "other statistics of $folder"
done
expect 1 "$tool" check --format packed "$scratch/written"
says "train.vimpack"
expect 1 "$tool" stats --format webdataset "$scratch/packed"
says "data.train_shards"

# Python reads the shards: every file once, beside its class.
python3 - "$photos" "$scratch/written" <<'PYTHON' || fail "shards"
import glob, os, sys, tarfile
photos, shards = sys.argv[1:]
classes = open(f"{shards}/classes.txt").read().split()
for split in "train", "val":
    paths = sorted(glob.glob(f"{shards}/{split}-*.tar"))
    order, seen = [], {}
    for path in paths:
        members = {m.name: tarfile.open(path).extractfile(m).read() for m in tarfile.open(path)}
        images = [name for name in members if not name.endswith(".cls")]
        assert len(images) == 7 or path == paths[-1], (path, images)
        for name in images:
            stem = name.rsplit(".", 1)[0]
            assert stem not in seen and classes[int(members[stem + ".cls"])] == stem.split("/")[0], name
            seen[stem] = members[name]
            order.append(stem)
    expected = {f"{c}/{f.rsplit('.', 1)[0]}": open(f"{photos}/{split}/{c}/{f}", "rb").read()
                for c in os.listdir(f"{photos}/{split}") for f in os.listdir(f"{photos}/{split}/{c}")}
    assert seen == expected and (order == sorted(order)) == (split == "val"), order
PYTHON
expect 0 "$tool" list "$scratch/written/val-000000.tar"
says "$(printf 'cats/0.png\t0\t%s' "$(stat -c %s "$photos/val/cats/0.png")")"
expect 1 "$tool" pack "$photos" "$scratch/written" --shards 100
says "train-000001.tar: training would read this shard"
expect 2 "$tool" pack "$photos" "$scratch/written" --shards 100 --raw

# So they do from shards, with an index and without; the index knows when it is too old.
python3 - "$photos" "$scratch/shards" <<'PYTHON'
import io, os, sys, tarfile
photos, shards = sys.argv[1:]
os.makedirs(shards)
for split in "train", "val":
    files = sorted((c, f) for c in os.listdir(f"{photos}/{split}") for f in os.listdir(f"{photos}/{split}/{c}"))
    for shard in range(3):
        with tarfile.open(f"{shards}/{split}-{shard}.tar", "w") as out:
            for c, f in files[len(files) * shard // 3:len(files) * (shard + 1) // 3]:
                out.add(f"{photos}/{split}/{c}/{f}", f"{c}/{f}")
                label = tarfile.TarInfo(f"{c}/{f}".split(".")[0] + ".txt")
                label.size = len(c)
                out.addfile(label, io.BytesIO(c.encode()))
PYTHON
shards=(--set data.format=webdataset --set "data.root=$scratch/shards")
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 "${shards[@]}" "$scratch/b.png"
same_file "$scratch/a.png" "$scratch/b.png"
expect 0 "$tool" index "$scratch/shards" --format webdataset --train-shards 'train-{0..2}.tar' --output "$scratch/indexes"
says "train.vimindex"
shards+=(--set "data.index=$scratch/indexes")
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 "${shards[@]}" "$scratch/b.png"
same_file "$scratch/a.png" "$scratch/b.png"
! grep -q "is not used" "$scratch/out" || fail "the index is not used"
touch "$scratch/shards/train-1.tar"
expect 0 "$tool" preview --config "$scratch/c.yaml" --images 4 "${shards[@]}" "$scratch/b.png"
says "train-1.tar has changed"
expect 1 "$tool" index "$scratch/shards" --format webdataset --train-shards 'train-{0..3}.tar'
says "train-3.tar: there is no such shard"

head -c 5000 "$scratch/packed/train.vimpack" >"$scratch/packed/cut" && mv "$scratch/packed/cut" "$scratch/packed/train.vimpack"
expect 1 "$tool" list "$scratch/packed/train.vimpack"
says "train.vimpack"

expect 0 "$tool" bench "$photos" --seconds 0.05 --workers 2
for stage in read decode "crop + resize" RandAugment collate "DeiT recipe, fast" "loader, DeiT recipe, 2 workers"; do
  says "$stage"
done
