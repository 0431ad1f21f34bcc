# vim-bench: operators and models on the CPU; tables, JSON and the picture.
source "$(dirname "$0")/common.sh" "$1"
make_config "$scratch/c.yaml"

expect 0 "$bin/vim-bench" ops --device cpu --shape 2x16x9 1x8x30 --seconds 0.01 --json "$scratch/ops.json"
says "forward, keeping"
python3 - "$scratch/ops.json" <<'PYTHON'
import json, sys
found = json.load(open(sys.argv[1]))
assert found["device"].startswith("CPU") and found["copy_bytes_per_second"] > 0, found
passes = {(r["operator"], r["pass"], r["batch"]) for r in found["results"]}
expected = {(op, p, b) for op in ("scan", "convolution", "norm", "mixer")
            for p in ("forward", "forward, keeping", "backward") for b in (1, 2)}
assert passes == expected, passes ^ expected
assert all(r["microseconds"] > 0 and r["bytes_per_second"] > 0 for r in found["results"])
PYTHON
expect 0 "$bin/vim-bench" ops norm --device cpu --shape 2x16x9 --seconds 0.01
says "norm"
! grep -q scan "$scratch/out" || fail "it measured what was not asked for"

expect 2 "$bin/vim-bench" ops --shape 2x16
says "'2x16' is not BATCHxCHANNELSxLENGTH"
expect 2 "$bin/vim-bench" ops --shape 2x16x0
expect 2 "$bin/vim-bench" ops dance
expect 2 "$bin/vim-bench" ops --device cpu --type bf16
says "on a GPU only"
expect 2 "$bin/vim-bench"
expect 2 "$bin/vim-bench" model
expect 0 "$bin/vim-bench" data --help

expect 0 "$bin/vim-bench" model --config "$scratch/c.yaml" --set device=cpu --image-size 8 16 --batch 1 4 \
  --seconds 0.01 --json "$scratch/model.json" --svg "$scratch/model.svg"
says "images/s"
python3 - "$scratch" <<'PYTHON'
import json, sys
import xml.etree.ElementTree as xml
results = json.load(open(f"{sys.argv[1]}/model.json"))["results"]
assert [(r["image_size"], r["batch"], r["mode"]) for r in results] == [
    (size, batch, mode) for size in (8, 16) for batch in (1, 4) for mode in ("train", "inference")], results
assert all(r["model"] == "c" and r["fits"] and r["images_per_second"] > 0 for r in results)
for r in results:
    assert abs(r["images_per_second"] * r["milliseconds"] / 1000 / r["batch"] - 1) < 1e-6, r
lines = [e for e in xml.parse(f"{sys.argv[1]}/model.svg").iter() if e.get("fill") == "none"]
assert len(lines) >= 4, len(lines)
PYTHON
