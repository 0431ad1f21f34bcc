#include "train/checkpoint.h"

#include "fuzz/target.h"
#include "vim/core/error.h"
#include "vim/io/safetensors.h"
#include "vim/train/config.h"

namespace vim::fuzz {
namespace {

void load(const std::filesystem::path& path) {
  const train::Checkpoint checkpoint = train::load_checkpoint(path);
  train::config_of(checkpoint, path.string(), {});
}

}  // namespace

void read(std::string_view bytes) {
  const auto path = folder() / "x.safetensors";
  write(path, bytes);
  train::is_checkpoint(path);
  try {
    load(path);
  } catch (const Error&) {
  }
  // Hashes guard everything, so that changed bytes rarely get past them: the same content with
  // hashes that are right.
  io::TensorFile file = io::read_safetensors(path);
  train::seal(file);
  io::write_safetensors(path, file);
  load(path);
}

}  // namespace vim::fuzz
