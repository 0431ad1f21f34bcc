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
make_photos "$scratch/photos"
echo "not an image" >"$scratch/photos/train/cats/03.png"
photos+=(--set data.batch_size=8)
expect 1 train "${photos[@]}"
says "train/cats/03.png"
expect 0 train "${photos[@]}" --set data.on_error=skip
says "train/cats/03.png"
mkdir "$scratch/photos/train/empty" "$scratch/photos/val/empty"
expect 1 train "${photos[@]}"
says "empty"
