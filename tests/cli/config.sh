# Configuration files and command lines that cannot be used: exit code 2, every mistake with its place.
source "$(dirname "$0")/common.sh" "$1"

expect 2 "$bin/vim-train"
says "--config is required"
expect 2 "$bin/vim-train" --config x.yaml --no-such-flag
says "unexpected argument '--no-such-flag'; keys of the configuration are set with --set KEY=VALUE"
expect 2 "$bin/vim-train" --config x.yaml --outptu runs/x
says "unexpected argument '--outptu'; did you mean '--output'?"
expect 2 "$bin/vim-train" --config x.yaml --nproc 0
says "--nproc: expected auto or a whole number from 1 to 1024, got '0'"
expect 2 "$bin/vim-train" --config "$scratch/absent.yaml"
says "$scratch/absent.yaml"
expect 0 "$bin/vim-train" --version
says "LibTorch 2."
expect 0 "$bin/vim-train" --help
says "--resume"
expect 0 "$bin/vim-train" --help-config
says "weight_decay"

cat >"$scratch/five.yaml" <<'YAML'
model:
  dierction: full
  depth: 0
optim:
  lr: fast
ema: {enabled: yes}
data:
  format: tar
YAML
expect 2 "$bin/vim-train" --config "$scratch/five.yaml"
says "five.yaml:2:3: model.dierction: unknown key"
says "did you mean 'direction'"
says "five.yaml:3:10: model.depth: expected"
says "five.yaml:5:7: optim.lr: expected a number"
says "five.yaml:6:16: ema.enabled: expected"
says "five.yaml:8:11: data.format: expected"

# The printed configuration is itself a configuration that prints the same.
make_config "$scratch/good.yaml"
"$bin/vim-train" --config "$scratch/good.yaml" --set optim.lr=1e-3 --print-config >"$scratch/printed.yaml"
grep -q 'lr: 0.001' "$scratch/printed.yaml" || fail "--set had no effect"
"$bin/vim-train" --config "$scratch/printed.yaml" --print-config >"$scratch/again.yaml"
same_file "$scratch/printed.yaml" "$scratch/again.yaml"

# Every recipe is well formed.
for recipe in "$here"/../../configs/*.yaml; do
  expect 0 "$bin/vim-train" --config "$recipe" --print-config
done

# Mistakes that only the whole configuration shows.
expect 2 "$bin/vim-train" --config "$scratch/good.yaml" --set model.patch_size=9
says "--set model.patch_size=9: model.patch_size: a patch of 9 pixels is larger than the image (8 x 8)"
expect 2 "$bin/vim-train" --config "$scratch/good.yaml" --set model.in_channels=3
says "data.channels: the images have 1 channels and the model takes 3"
expect 2 "$bin/vim-train" --config "$scratch/good.yaml" --set device=tpu --output "$scratch/run"
says "device"

# What needs no data is told before they are listed.
expect 1 "$bin/vim-train" --config "$scratch/good.yaml" --output "$scratch/good.yaml/run"
says "good.yaml/run: cannot create: $scratch/good.yaml: Not a directory; choose another --output"
expect 1 "$bin/vim-train" --config "$scratch/good.yaml" --output "$scratch/run" --set model.init_from=absent.pth
says "model.init_from: there is no file absent.pth"
