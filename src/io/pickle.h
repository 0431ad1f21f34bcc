// The language of Python's pickles, read without executing anything: a callable that the pickle
// would have called is only written down.
// https://github.com/python/cpython/blob/main/Lib/pickletools.py
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace vim::io {

enum class Kind {
  kNone,
  kBool,        // integer
  kInt,         // integer
  kFloat,       // real
  kText,        // text
  kBytes,       // text; also a whole number of more than 64 bits, little-endian
  kSequence,    // items: a list, tuple or set
  kDict,        // items: key, value, key, value...
  kGlobal,      // text: "module.name"
  kObject,      // text: the callable that makes it; items: arguments, state, then as a dict's
  kPersistent,  // items: what the pickle's owner knows it by
};

struct Value {
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double real = 0;
  std::string text = {};
  std::vector<uint32_t> items = {};  // positions in Pickle::values
};

// One pickle. Its values refer to each other by position, so that cycles and deep nesting cost
// nothing until somebody follows them: whoever does must bound it. Value 0 is None.
struct Pickle {
  std::vector<Value> values;
  uint32_t root = 0;
};

inline constexpr size_t kObjectArguments = 0;  // positions in the items of a kObject
inline constexpr size_t kObjectState = 1;
inline constexpr size_t kObjectPairs = 2;

// Reads one pickle of protocol 0 to 5 and leaves the stream behind it; reads at most `limit` bytes.
// Throws Malformed.
Pickle read_pickle(std::istream& stream, uint64_t limit);

}  // namespace vim::io
