# vim-convert: what it writes loads, and what it says is true.
source "$(dirname "$0")/common.sh" "$1"
make_idx "$scratch/data"
make_config "$scratch/c.yaml"
expect 0 "$bin/vim-train" --config "$scratch/c.yaml" --output "$scratch/run"
cd "$scratch"
last=run/checkpoints/last.safetensors
# A line of the last output matches this.
shows() { grep -qE -- "$1" "$scratch/out" || { cat "$scratch/out"; fail "no line like $1"; }; }
convert() { "$bin/vim-convert" "$@"; }
top1() {
  rm -f r.json
  "$bin/vim-eval" --checkpoint "$1" --weights model --json r.json >/dev/null
  grep top1 r.json || echo "no result of $1"
}

expect 0 convert inspect "$last" --statistics
says "model/"
shows 'bias +float32 \[2\]  mean '
says "embed_dim: 16"
expect 0 convert verify "$last" run/checkpoints/best.safetensors
says "last.safetensors: a good checkpoint, step 30, "

# A stripped checkpoint evaluates the same, and cannot be resumed.
expect 0 convert strip "$last" stripped.safetensors
[ "$(top1 stripped.safetensors)" = "$(top1 "$last")" ] || fail "a stripped checkpoint evaluates differently"
expect 1 "$bin/vim-train" --config c.yaml --set train.epochs=5 --output run --resume stripped.safetensors
says "optimiser state does not fit"

# There and back again.
expect 0 convert convert "$last" there.pth
expect 0 convert convert there.pth back.safetensors
expect 1 convert diff "$last" stripped.safetensors
says "only in run/checkpoints/last.safetensors"
expect 0 convert diff there.pth back.safetensors
expect 0 convert extract "$last" weights.pth --weights ema
expect 0 convert inspect weights.pth
shows '^model/ +[0-9,]+ values$'
shows '^  patch_embed.proj +272 values$'
shows '^    weight +float32 \[16, 1, 4, 4\]$'
expect 0 convert inspect "$last" --depth 1
shows '^model/ +[0-9,]+ values$'
! grep -q 'patch_embed.proj' "$scratch/out" || fail "--depth 1 shows more"
expect 0 convert convert weights.pth half.safetensors --precision fp16
expect 0 convert inspect half.safetensors
shows '^ +bias +float16 \[2\]$'
expect 1 convert diff weights.pth half.safetensors
says "head.bias: float32 [2] and float16 [2]"

# The mean of a checkpoint with itself is itself; of weights and their negative, nothing.
expect 0 convert average "$last" "$last" --output mean.safetensors
expect 0 convert diff mean.safetensors stripped.safetensors
expect 1 convert average "$last" half.safetensors --output x.safetensors
says "cannot average"
says "half.safetensors has"

# A file is not written over what it is read from, which holds more.
cp "$last" same.safetensors
expect 2 convert extract same.safetensors ./same.safetensors
says "same.safetensors: is the file to read"
same_file "$last" same.safetensors

# Fine-tuning from any of these, with another number of classes.
expect 0 "$bin/vim-train" --config c.yaml --set model.init_from=weights.pth --set train.epochs=1 --output tuned
says "weights matched"
expect 2 "$bin/vim-train" --config c.yaml --set model.init_from=weights.pth --set model.init_ema=true --output tuned2
says "holds no averaged weights"

damage "$last"
expect 1 convert verify "$last" nosuch.safetensors stripped.safetensors
says "last.safetensors: damaged checkpoint"
says "nosuch.safetensors: cannot open"
says "stripped.safetensors: a good checkpoint"
expect 2 convert
expect 2 convert convert stripped.safetensors x.bin
says "unknown format '.bin'"
