// What is the same on all ranks, and made so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vim/dist/process_group.h"

namespace vim::train {

// Something that every rank has to have alike; `text` is compared, line by line where it differs.
struct Fact {
  std::string name;  // "configuration"
  std::string text;
};

// Collective. Throws Error on a rank that differs from rank 0, saying in what; that ends the others
// too.
void require_same(dist::ProcessGroup& group, const std::vector<Fact>& facts);

// Collective: gives every rank the values of rank 0.
void copy_from_main(dist::ProcessGroup& group, const std::map<std::string, at::Tensor>& tensors);

// Of names, shapes and values, as a fact.
std::string checksum(const std::map<std::string, at::Tensor>& tensors);

}  // namespace vim::train
