#include "train/observer.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <limits>
#include <map>

#include "vim/core/text.h"

namespace vim::train {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Statistics as a double tensor on the device.
at::Tensor measure(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kFloat), finite = values.isfinite();
  const at::Tensor count = finite.sum();
  const at::Tensor sum = at::where(finite, values.abs(), 0).sum(at::kDouble);
  return at::stack({at::where(finite, values, kInfinity).min().to(at::kDouble),
                    at::where(finite, values, -kInfinity).max().to(at::kDouble), sum / count,
                    (tensor.numel() - count).to(at::kDouble)});
}

void collect(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) tensors.push_back(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) tensors.push_back(tensor);
  }
}

std::string module_of(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? parameter : parameter.substr(0, dot);
}

// What both paths begin with: "layers.0.mixer" of "layers.0.mixer.in_proj" and "layers.0.mixer".
std::string common_path(const std::string& a, const std::string& b) {
  const auto [end, other] = std::ranges::mismatch(a, b);
  const bool whole = (end == a.end() || *end == '.') && (other == b.end() || *other == '.');
  const std::string shared(a.begin(), end);
  return whole ? shared : module_of(shared);
}

struct Call : at::ObserverContext {
  std::vector<at::Tensor> inputs;
};

}  // namespace

class Observer::Impl : public std::enable_shared_from_this<Observer::Impl> {
 public:
  Impl(torch::nn::Module& model, Detail detail) : model_(model), detail_(detail) {
    for (const auto& entry : model.named_parameters()) name_weight(entry.value(), entry.key());
    for (const auto& entry : model.named_buffers()) name_weight(entry.value(), entry.key());
  }

  struct Origin {
    std::string name, op;
    bool in_layer = true;
  };
  void add(ObservedKind kind, const Origin& origin, const at::Tensor& tensor) {
    if (!tensor.is_floating_point() || tensor.numel() == 0) return;
    const at::NoGradGuard no_grad;
    const at::DisableRecordFunctionGuard unrecorded;
    observed_.push_back({kind,
                         origin.name,
                         origin.op,
                         origin.in_layer,
                         tensor.sizes().vec(),
                         tensor.scalar_type(),
                         {}});
    measured_.push_back(measure(tensor.detach()));
  }

  void note_call(const std::vector<at::Tensor>& inputs, const at::RecordFunction& call);

  torch::nn::Module& model() { return model_; }

  std::vector<Observed> read() const {
    std::vector<Observed> result = observed_;
    if (result.empty()) return result;
    const at::Tensor host = at::stack(measured_).cpu();
    const double* numbers = host.const_data_ptr<double>();
    for (Observed& entry : result) {
      entry.statistics = {numbers[0], numbers[1], numbers[2], static_cast<int64_t>(numbers[3])};
      numbers += 4;
    }
    return result;
  }

  int depth = 0;  // of operators that call others

 private:
  void name_weight(const at::Tensor& tensor, const std::string& name) {
    weights_[tensor.unsafeGetTensorImpl()] = {tensor, name};
  }

  torch::nn::Module& model_;
  const Detail detail_;
  struct Weight {
    at::Tensor tensor;  // held, so that no other tensor gets its place
    std::string name;
  };
  std::map<const c10::TensorImpl*, Weight> weights_;  // and what is computed from them alone
  std::string last_layer_ = "input";
  std::vector<Observed> observed_;
  std::vector<at::Tensor> measured_;
};

void Observer::Impl::note_call(const std::vector<at::Tensor>& inputs,
                               const at::RecordFunction& call) {
  std::string layer, weight;
  size_t weights = 0;
  for (const at::Tensor& input : inputs) {
    const auto found = weights_.find(input.unsafeGetTensorImpl());
    if (found == weights_.end()) continue;
    weight = found->second.name;
    layer = weights++ == 0 ? module_of(weight) : common_path(layer, module_of(weight));
  }
  const bool of_weights = weights > 0 && weights == inputs.size();
  if (weights > 0 && !of_weights) last_layer_ = layer;

  const std::string full = call.name();
  const std::string op = full.substr(full.rfind(':') + 1);
  if (op.find("empty") != std::string::npos) return;  // no values yet
  std::vector<at::Tensor> outputs;
  for (const c10::IValue& output : call.outputs()) collect(output, outputs);
  for (const at::Tensor& output : outputs) {
    const bool is_view = std::ranges::any_of(inputs, [&](const at::Tensor& input) {
      return output.is_alias_of(input) && !output.is_same(input);
    });
    if (of_weights) name_weight(output, weight);
    if (is_view || (detail_ == Detail::kLayers && (weights == 0 || of_weights))) continue;
    const Origin origin{of_weights ? weight : weights > 0 ? layer : last_layer_, op, weights > 0};
    add(ObservedKind::kOutput, origin, output);
    if (!output.requires_grad() || of_weights) continue;
    output.register_hook([self = shared_from_this(), origin](const at::Tensor& gradient) {
      if (gradient.defined()) self->add(ObservedKind::kOutputGradient, origin, gradient);
    });
  }
}

namespace {

thread_local Observer::Impl* observing = nullptr;

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& call) {
  if (observing->depth++ > 0) return nullptr;
  auto context = std::make_unique<Call>();
  for (const c10::IValue& input : call.inputs()) collect(input, context->inputs);
  return context;
}

void leave(const at::RecordFunction& call, at::ObserverContext* context) {
  --observing->depth;
  if (context != nullptr) observing->note_call(static_cast<Call*>(context)->inputs, call);
}

}  // namespace

Observer::Scope::Scope(Observer* observer) : active_(observer != nullptr) {
  if (!active_) return;
  observing = observer->impl_.get();
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(enter, leave)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}));
}

Observer::Scope::~Scope() {
  if (!active_) return;
  at::removeCallback(handle_);
  observing = nullptr;
}

Observer::Observer(torch::nn::Module& model, Detail detail)
    : impl_(std::make_shared<Impl>(model, detail)) {}

Observer::~Observer() = default;

void Observer::note_inputs(const tasks::Inputs& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    impl_->add(ObservedKind::kInput, {std::to_string(i), ""}, inputs[i]);
  }
}

void Observer::note_weights() {
  for (const auto& entry : impl_->model().named_parameters()) {
    impl_->add(ObservedKind::kWeight, {entry.key(), ""}, entry.value());
  }
}

void Observer::note_gradients(const at::Tensor& loss_scale) {
  for (const auto& entry : impl_->model().named_parameters()) {
    const at::Tensor& gradient = entry.value().grad();
    if (!gradient.defined()) continue;
    impl_->add(ObservedKind::kWeightGradient, {entry.key(), ""},
               loss_scale.defined() ? gradient / loss_scale : gradient);
  }
}

std::vector<Observed> Observer::read() const {
  return impl_->read();
}

std::string in_words(const Observed& observed) {
  const std::string output =
      concat("the output of ", observed.op, observed.in_layer ? " in " : " after ", observed.name);
  switch (observed.kind) {
    case ObservedKind::kInput:
      return concat("input ", observed.name);
    case ObservedKind::kWeight:
      return concat("the weight ", observed.name);
    case ObservedKind::kOutput:
      return output;
    case ObservedKind::kOutputGradient:
      return concat("the gradient of ", output);
    case ObservedKind::kWeightGradient:
      return concat("the gradient of the weight ", observed.name);
  }
  return "";
}

}  // namespace vim::train
