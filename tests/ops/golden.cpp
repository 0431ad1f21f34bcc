#include "ops/compare.h"
#include "support/catch.h"
#include "support/support.h"
#include "vim/io/safetensors.h"
#include "vim/ops/ops.h"

using namespace vim::test;

TEST_CASE("The scan agrees with the official kernels") {
  const auto path = fixture("selective_scan.safetensors");
  if (!std::filesystem::exists(path)) VIM_SKIP("no " + path.string());
  const auto file = vim::io::read_safetensors(path);
  for (int number = 0; number < 5; ++number) {
    const std::string prefix = std::to_string(number) + "/fp32/";
    CAPTURE(prefix);
    // The file has tokens last, and B and C as [batch, 1, state, length].
    const auto get = [&](const std::string& name) {
      at::Tensor t = file.tensors.at(prefix + name);
      if (t.dim() == 4) t = t.squeeze(1);
      return t.dim() == 3 ? t.transpose(1, 2) : t;
    };
    const char* names[] = {"u", "delta", "A", "B", "C", "D", "z", "delta_bias"};
    Tensors in;
    for (const char* name : names) in.push_back(get(name));
    in = leaves(in, at::kFloat);
    const at::Tensor out = vim::ops::selective_scan(in[0], in[1], in[2], in[3], in[4], in[5], in[6],
                                                    in[7], /*delta_softplus=*/true,
                                                    /*reverse=*/false);
    check_close(out, get("out"), 1e-5);
    const Tensors grads = torch::autograd::grad({out}, in, {get("grad_out")});
    for (size_t i = 0; i < in.size(); ++i) {
      CAPTURE(names[i]);
      check_close(grads[i], get(std::string("d") + names[i]), 1e-4);
    }
  }
}
