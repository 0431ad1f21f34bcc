# The installed library in a project of its own (examples/), which classifies an image.
#   bash example.sh BIN BUILD_FOLDER
source "$(dirname "$0")/../cli/common.sh" "$1"
build=$2
expect 0 cmake --install "$build" --component development --prefix "$scratch/vim"
expect 0 cmake -S "$here/../../examples/classify" -B "$scratch/build" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/vim"
expect 0 cmake --build "$scratch/build"

make_idx "$scratch/data"
make_config "$scratch/c.yaml"
expect 0 "$bin/vim-train" --config "$scratch/c.yaml" --set train.epochs=1 --output "$scratch/run"
python3 - "$scratch/x.png" <<'PYTHON'
import struct, sys, zlib
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\0" + bytes([150] * 4 + [50] * 4) for _ in range(8))
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
                              + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
expect 0 "$scratch/build/classify" "$scratch/run/checkpoints/last.safetensors" "$scratch/x.png"
says "  0 0."
expect 1 "$scratch/build/classify" "$scratch/run/checkpoints/last.safetensors" "$scratch/absent.png"
says "absent.png"
