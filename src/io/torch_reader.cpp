// The two containers of a pickle and its storages.
#include <ATen/ops/empty.h>

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>

#include "io/input_file.h"
#include "io/malformed.h"
#include "io/pickle.h"
#include "io/torch_pickle.h"
#include "io/zip_reader.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/io/torch_file.h"

namespace fs = std::filesystem;

namespace vim::io {
namespace {

void check_bools(const at::Tensor& storage) {
  const auto* bytes = static_cast<const unsigned char*>(storage.const_data_ptr());
  if (std::any_of(bytes, bytes + storage.nbytes(), [](unsigned char byte) { return byte > 1; })) {
    throw Malformed{"a tensor of truth values holds a byte that is neither 0 nor 1"};
  }
}

// The bytes of each storage by its key, as the elements that a tensor takes them for.
class StorageCache {
 public:
  using Read = std::function<at::Tensor(const StorageId&, at::ScalarType)>;

  at::Tensor get(const StorageId& id, at::ScalarType type, const Read& read) {
    const auto found = storages_.find(id.key);
    if (found == storages_.end()) {
      const at::Tensor storage = read(id, type);
      if (type == at::kBool) check_bools(storage);
      return storages_.emplace(id.key, storage).first->second;
    }
    const at::Tensor& storage = found->second;
    if (storage.scalar_type() == type) return storage;
    if (storage.nbytes() % c10::elementSize(type) != 0 || type == at::kBool) {
      throw Malformed{concat("its storage '", id.key, "' is of two types")};
    }
    return storage.view(type);
  }

 private:
  std::map<std::string, at::Tensor> storages_;
};

TensorFile read_zip(InputFile& file) {
  const ZipReader zip(file.stream, file.size);
  std::string prefix;
  for (const auto& [name, entry] : zip.entries()) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash) == "/data.pkl") {
      prefix = name.substr(0, slash + 1);
    }
  }
  if (prefix.empty()) throw Malformed{"it is a zip archive without data.pkl"};
  const auto record = [&](const std::string& name) {
    const auto found = zip.entries().find(prefix + name);
    if (found == zip.entries().end()) throw Malformed{concat("its entry '", name, "' is missing")};
    return *found;
  };
  const auto text = [&](const std::string& name) {
    const auto [path, entry] = record(name);
    std::string bytes(entry.size, '\0');
    zip.read(path, entry, bytes.data());
    return bytes;
  };
  if (zip.entries().contains(prefix + "byteorder") && text("byteorder") != "little") {
    throw Malformed{"it was written on a big-endian machine"};
  }
  const std::string pickled = text("data.pkl");
  std::istringstream stream(pickled);
  const Pickle pickle = read_pickle(stream, pickled.size());

  StorageCache cache;
  const auto read = [&](const StorageId& id, at::ScalarType type) {
    const auto [path, entry] = record("data/" + id.key);
    const uint64_t element = c10::elementSize(id.type.value_or(at::kByte));
    if (entry.size % element != 0 || entry.size % c10::elementSize(type) != 0 ||
        entry.size / element != static_cast<uint64_t>(id.elements)) {
      throw Malformed{concat("its storage '", id.key, "' has ", entry.size, " bytes for ",
                             id.elements, " elements")};
    }
    const at::Tensor storage =
        at::empty({static_cast<int64_t>(entry.size / c10::elementSize(type))}, type);
    zip.read(path, entry, storage.mutable_data_ptr());
    return storage;
  };
  const auto storages = [&](const StorageId& id, at::ScalarType type) {
    return cache.get(id, type, read);
  };
  return Flattener(pickle, storages).flatten();
}

// Five pickles (magic number, protocol, machine, the object, its storages' keys), then each
// storage: 8 bytes of length and the elements.
TensorFile read_legacy(InputFile& file) {
  const auto next = [&] {
    return read_pickle(file.stream, file.size - static_cast<uint64_t>(file.stream.tellg()));
  };
  next();
  next();
  const Pickle machine = next(), pickle = next(), keys = next();
  const TensorFile facts = Flattener(machine, [](const StorageId&, at::ScalarType) -> at::Tensor {
                             throw Malformed{"a tensor stands where the machine is described"};
                           }).flatten();
  if (const auto order = facts.metadata.find("little_endian");
      order != facts.metadata.end() && order->second != "true") {
    throw Malformed{"it was written on a big-endian machine"};
  }
  std::map<std::string, StorageId> ids;
  const Flattener reader(pickle, nullptr);
  for (const Value& value : pickle.values) {
    if (value.kind != Kind::kPersistent) continue;
    const StorageId id = reader.storage_id(value);
    if (!id.type) throw Malformed{concat("a tensor has the unsupported type ", id.type_name)};
    ids.emplace(id.key, id);
  }

  std::map<std::string, at::Tensor> storages;
  for (const uint32_t position : keys.values[keys.root].items) {
    const auto found = ids.find(keys.values[position].text);
    if (found == ids.end()) throw Malformed{"it holds a storage that no tensor refers to"};
    const StorageId& id = found->second;
    int64_t elements = 0;
    read_exactly(file.stream, &elements, sizeof elements);
    const uint64_t left = file.size - static_cast<uint64_t>(file.stream.tellg());
    if (elements != id.elements ||
        static_cast<uint64_t>(elements) > left / c10::elementSize(*id.type)) {
      throw Malformed{concat("its storage '", id.key, "' claims ", elements, " elements, and ",
                             left, " bytes are left")};
    }
    const at::Tensor storage = at::empty({elements}, *id.type);
    read_exactly(file.stream, storage.mutable_data_ptr(), storage.nbytes());
    if (*id.type == at::kBool) check_bools(storage);
    if (!storages.emplace(id.key, storage).second) {
      throw Malformed{concat("its storage '", id.key, "' comes twice")};
    }
  }
  return Flattener(pickle,
                   [&](const StorageId& id, at::ScalarType type) {
                     const auto found = storages.find(id.key);
                     if (found == storages.end() || found->second.scalar_type() != type) {
                       throw Malformed{concat("its storage '", id.key, "' is missing")};
                     }
                     return found->second;
                   })
      .flatten();
}

}  // namespace

TensorFile read_torch(const fs::path& path) {
  InputFile file(path);
  try {
    char first = 0;
    if (file.size > 0) file.stream.get(first);
    file.stream.seekg(0);
    if (first == 'P') return read_zip(file);
    if (first != '\x80') {
      throw Malformed{"it begins neither as a zip archive nor as a pickle"};
    }
    return read_legacy(file);
  } catch (const Malformed& malformed) {
    throw Error(concat(path.string(), ": not a PyTorch file: ", malformed.what));
  }
}

}  // namespace vim::io
