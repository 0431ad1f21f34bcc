// Whether an operator computes what it should.
#pragma once

#include "train/op_cases.h"

namespace vim::train {

// The first result or gradient by which the operator differs from its reference in double, with
// and without recording gradients; empty where there is none. The inputs require gradients.
std::string difference_from_reference(const OpCase& op, const Tensors& inputs, Precision precision);

// Of a function with these results.
Tensors random_gradients(const Tensors& results);

}  // namespace vim::train
