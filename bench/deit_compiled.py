#!/usr/bin/env python3
"""What Vision Mamba competes with: timm's DeiT in PyTorch, eager and compiled, by vim-bench's method.

    python3 bench/deit_compiled.py --model deit_tiny_patch16_224 --mode train --batch 128 --json deit.json
    python3 bench/deit_compiled.py --model deit_tiny_patch16_224 --mode inference --batch 8 --image-size 224 1248

bf16 by autocast, FlashAttention through scaled_dot_product_attention, a training step with PyTorch's fused AdamW
and the average of the weights that vim-bench also keeps. A time is the median over 15 rounds, by the device's clock,
after warming up; memory is the allocator's peak. Needs a GPU, torch 2 and timm.
"""

import argparse
import contextlib
import json
import statistics
import sys

import timm
import torch

ROUNDS = 15
WARMUP = 5


def milliseconds(work, seconds):
    """The median over rounds of the time of a call; the rounds take about `seconds` together."""

    def time_calls(calls):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(calls):
            work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / calls

    time_calls(WARMUP)
    calls = max(1, int(1000 * seconds / ROUNDS / time_calls(1)))
    return statistics.median(time_calls(calls) for _ in range(ROUNDS))


def autocast(precision):
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast("cuda", torch.bfloat16)


def make_model(args, size):
    # Weights that change in training stay fp32; drop path is off here and in vim-bench's DeiT.
    return timm.create_model(args.model, img_size=size, num_classes=1000).cuda()


def training_step(args, size, batch, compiled):
    model = make_model(args, size).train()
    average = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    images = torch.randn(batch, 3, size, size, device="cuda")
    labels = torch.randint(1000, (batch,), device="cuda")
    forward = torch.compile(model, mode=args.compile_mode) if compiled else model

    def step():
        with autocast(args.precision):
            loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(average, list(model.parameters()), 1e-4)

    return step


def inference(args, size, batch, compiled):
    model = make_model(args, size).eval()
    if args.precision == "bf16":
        model = model.bfloat16()  # the fastest way: no conversions
    images = torch.randn(batch, 3, size, size, device="cuda", dtype=next(model.parameters()).dtype)
    forward = torch.compile(model, mode=args.compile_mode) if compiled else model

    def run():
        with torch.inference_mode():
            forward(images)

    return run


def measure(args, mode, size, batch, compiled):
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    result = {
        "model": args.model,
        "mode": mode,
        "how": f"compiled, {args.compile_mode}" if compiled else "eager",
        "precision": args.precision,
        "image_size": size,
        "batch": batch,
    }
    try:
        work = (training_step if mode == "train" else inference)(args, size, batch, compiled)
        time = milliseconds(work, args.seconds)
    except torch.OutOfMemoryError:
        return {**result, "fits": False}
    return {
        **result,
        "fits": True,
        "milliseconds": time,
        "images_per_second": 1000 * batch / time,
        "peak_memory_bytes": torch.cuda.max_memory_allocated(),
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="deit_tiny_patch16_224", help="timm's name")
    parser.add_argument("--mode", nargs="+", choices=["train", "inference"], default=["train", "inference"])
    parser.add_argument("--how", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    parser.add_argument("--compile-mode", default="default", help="of torch.compile, such as max-autotune")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--batch", type=int, nargs="+", default=[128])
    parser.add_argument("--image-size", type=int, nargs="+", default=[224])
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each figure")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def main():
    args = parse()
    if not torch.cuda.is_available():
        sys.exit("deit_compiled.py: there is no GPU")
    device = torch.cuda.get_device_name()
    print(f"{device}, torch {torch.__version__}, timm {timm.__version__}")
    print(f"{'model':24} {'mode':10} {'how':28} {'pixels':>6} {'batch':>5} {'ms':>9} {'images/s':>9} {'memory':>9}")
    results = []
    for size in args.image_size:
        for batch in args.batch:
            for mode in args.mode:
                for how in args.how:
                    r = measure(args, mode, size, batch, how == "compiled")
                    results.append(r)
                    figures = "too large"
                    if r["fits"]:
                        memory = r["peak_memory_bytes"] / 1e9
                        figures = f"{r['milliseconds']:9.3f} {r['images_per_second']:9.1f} {memory:6.2f} GB"
                    print(f"{r['model']:24} {mode:10} {r['how']:28} {size:6} {batch:5} {figures}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"device": device, "torch": torch.__version__, "timm": timm.__version__, "results": results},
                      file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
