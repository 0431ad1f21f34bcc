// Configurations from files and command lines, and back. Config structs: config/visitor.h.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vim/config/visitor.h"

namespace vim::config {

// Applies layers, one after another, to the same struct: a key that a layer does not name keeps its
// value, a list that it names replaces the earlier list whole.
//
// In a file, `base: other.yaml` (relative to the file that says so) is applied first. In values,
// ${NAME} is the environment variable, ${NAME:-text} has a default, and $${ stands for the
// characters ${.
class Loader {
 public:
  template <class Config>
  explicit Loader(Config& config)
      : Loader([&config](const Node& node,
                         const Problems& p) { Codec<Config>::read(node, config, p); },
               [&config](const Problems& p) { Codec<Config>::check(config, any, p); }) {}
  ~Loader();

  void file(const std::filesystem::path& path);
  // What a checkpoint holds, say; `source` names it in messages.
  void text(std::string_view text, const std::string& source);
  // "optim.lr=1e-3"; the value is YAML. Entries of a list are numbered:
  // "data.transforms.0.size=32". `source` names it in messages; empty: "--set optim.lr=1e-3".
  void set(std::string_view assignment, const std::string& source = "");

  // Checks the rules of all fields, then throws a UsageError with everything that is wrong, a line
  // each: "configs/x.yaml:6:7: optim.lr: expected a number, got 'fast'".
  void finish();

 private:
  using Read = std::function<void(const Node&, const Problems&)>;
  using Check = std::function<void(const Problems&)>;
  Loader(Read read, Check check);

  Read read_;
  Check check_;
  std::unique_ptr<Journal> journal_;
};

// The defaults, the file, then each of `assignments` as Loader::set takes it.
template <class Config>
Config load(const std::filesystem::path& path, std::span<const std::string> assignments = {}) {
  Config config;
  Loader loader(config);
  loader.file(path);
  for (const std::string& assignment : assignments) loader.set(assignment);
  loader.finish();
  return config;
}

template <class Config>
Config load_text(std::string_view text, const std::string& source,
                 std::span<const std::string> assignments = {}) {
  Config config;
  Loader loader(config);
  loader.text(text, source);
  for (const std::string& assignment : assignments) loader.set(assignment);
  loader.finish();
  return config;
}

std::string to_yaml(const Node& node);
std::string reference(const Describe& describe, size_t width);

// Every key in declared order. load_text(dump(config)) == config.
template <class Config>
std::string dump(const Config& config) {
  return to_yaml(Codec<Config>::write(config));
}

// Every key with its meaning, its kind and its default: a YAML file whose comments explain it.
template <class Config>
std::string reference(size_t width = 100) {
  Config defaults;
  return reference(described(defaults), width);
}

}  // namespace vim::config
