#include "data/tar.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <sstream>

#include "data/shard_pattern.h"
#include "data/tar_writer.h"
#include "support/support.h"
#include "vim/core/error.h"
#include "vim/core/random.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;
using namespace vim::test;
using namespace vim::data;
using Catch::Contains;

namespace {

std::vector<TarMember> members_of(const fs::path& path) {
  const InputFile file(path);
  TarReader reader(file);
  std::vector<TarMember> members;
  while (auto member = reader.next()) members.push_back(*std::move(member));
  return members;
}

std::vector<TarMember> read_bytes(const ScratchFolder& folder, const std::string& bytes) {
  vim::FileWriter(folder / "x.tar").write(bytes);
  return members_of(folder / "x.tar");
}

std::string pax(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

}  // namespace

TEST_CASE("What Python's tarfile writes in each of its formats is found where Python says") {
  if (std::system("python3 -c 'import tarfile' 2>/dev/null") != 0) {
    VIM_SKIP("python3 is not installed");
  }
  const ScratchFolder folder;
  vim::write_atomically(folder / "write.py", R"(
import io, random, sys, tarfile
folder, seed = sys.argv[1], int(sys.argv[2])
rnd = random.Random(seed)
names = ["a.jpg", "deep/" * 30 + "b.cls", "x" * 100, "y" * 101, "\u00e4\u6f22.png", "sp ace.jpg", "n" * 90 + "/" + "m" * 90]
for name, form in ("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT):
    path = f"{folder}/{name}.tar"
    headers = {"comment": "for all"} if name == "pax" else {}
    with tarfile.open(path, "w", format=form, pax_headers=headers) as out:
        def add(info, data=b""):
            info.size = len(data)
            try:
                out.addfile(info, io.BytesIO(data))
            except ValueError:  # too long for ustar
                assert name == "ustar"
        for i in range(60):
            add(tarfile.TarInfo(f"{i}/" + rnd.choice(names)), rnd.randbytes(rnd.choice([0, 1, 511, 512, 513, 40000])))
        for kind in tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE:
            info = tarfile.TarInfo("special" + kind.decode())
            info.type, info.linkname = kind, "l" * 150 if name != "ustar" else "l"
            add(info)
        if name == "pax":
            info = tarfile.TarInfo("with headers")
            info.pax_headers = {"mtime": "1.5", "VENDOR.x": "a=b\nc"}
            add(info, b"seven")
        if name != "ustar":  # more than eleven octal digits tell; the file has a hole
            info = tarfile.TarInfo("large")
            info.size = 9 << 30
            out.fileobj.write(info.tobuf(form))
            out.fileobj.seek(info.size, 1)
            out.offset = out.fileobj.tell()
        add(tarfile.TarInfo("last"), b"end")
    with tarfile.open(path) as tar, open(path + ".txt", "w", encoding="utf-8") as text:
        for m in tar:
            kind = 0 if m.isreg() else 1 if m.islnk() else 2
            text.write(f"{kind} {m.offset_data} {m.size if kind == 0 else 0} {m.name}{chr(47) * m.isdir()}\n")
)");
  const std::string command = vim::concat("python3 ", (folder / "write.py").string(), " ",
                                          folder.path().string(), " ", fresh_seed() % 1000000);
  REQUIRE(std::system(command.c_str()) == 0);
  for (const std::string format : {"ustar", "gnu", "pax"}) {
    CAPTURE(format);
    std::ostringstream found;
    for (const TarMember& m : members_of(folder / (format + ".tar"))) {
      found << static_cast<int>(m.kind) << " " << m.offset << " " << m.size << " " << m.name
            << "\n";
    }
    CHECK(found.str() == vim::read_file(folder / (format + ".tar.txt")));
  }
}

TEST_CASE("What is written is read as it was, by Python too, and the same in each writing") {
  const ScratchFolder folder;
  std::vector<std::pair<std::string, std::string>> written;
  for (const size_t size : {1, 99, 100, 101, 240})
    written.emplace_back(std::string(size, 'n'), "x");
  // Where a record's length gets a digit more.
  for (size_t size = 80; size < 120; ++size) written.emplace_back(std::string(size, 'm'), "");
  for (const size_t size : {980, 985, 986, 987, 988, 990, 5000}) {
    written.emplace_back(std::string(size, 'o'), "y");
  }
  for (const size_t size : {0, 1, 511, 512, 513, 20000}) {
    written.emplace_back(vim::concat("\xc3\xa4 /", size), std::string(size, 'z'));
  }
  for (const char* name : {"x.tar", "y.tar"}) {
    vim::FileWriter file(folder / name);
    TarWriter writer(file);
    for (const auto& [member, content] : written) writer.add(member, content);
    writer.finish();
  }
  CHECK(vim::read_file(folder / "x.tar") == vim::read_file(folder / "y.tar"));
  const std::string bytes = vim::read_file(folder / "x.tar");
  const std::vector<TarMember> members = members_of(folder / "x.tar");
  REQUIRE(members.size() == written.size());
  std::string listing;
  for (size_t i = 0; i < members.size(); ++i) {
    CHECK(members[i].name == written[i].first);
    CHECK(bytes.substr(members[i].offset, members[i].size) == written[i].second);
    listing += vim::concat(members[i].size, " ", members[i].name, "\n");
  }
  if (std::system("python3 -c 'import tarfile' 2>/dev/null") != 0) {
    VIM_SKIP("python3 is not installed");
  }
  const std::string command = vim::concat(
      "python3 -c 'import sys, tarfile\nfor m in tarfile.open(sys.argv[1]): "
      "sys.stdout.buffer.write(f\"{m.size} {m.name}\\n\".encode())' ",
      (folder / "x.tar").string(), " > ", (folder / "list").string());
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK(vim::read_file(folder / "list") == listing);
}

TEST_CASE("A tar file that lies about itself is refused with the place") {
  const ScratchFolder folder;
  const std::string good = tar_member("a.txt", "hello");
  const auto refuses = [&](const std::string& bytes, const std::string& reason) {
    CAPTURE(reason);
    CHECK_THROWS_WITH(read_bytes(folder, bytes), Contains("x.tar: at byte") && Contains(reason));
    CHECK_THROWS_AS(read_bytes(folder, bytes), vim::Error);
  };
  CHECK(read_bytes(folder, good + tar_end()).size() == 1);
  CHECK(read_bytes(folder, tar_end()).empty());
  refuses("", "cut off");
  refuses(good, "at byte 1024: the file ends without the empty blocks");
  refuses(good.substr(0, 600), "cut off");
  refuses(tar_header("a", 1 << 20) + tar_end(), "ends within a member");
  refuses(tar_header("a", size_t{1} << 32) + tar_end(), "ends within a member");
  refuses("\x1f\x8b" + good + tar_end(), "compressed");
  std::string bad = good;
  bad[3] ^= 1;
  refuses(good + bad + tar_end(), "at byte 1024: a header is damaged");
  const auto with_size = [](std::string field) {
    std::string block = tar_header("a", 0);
    block.replace(124, 12, field);
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    return block.replace(148, 7, digits, 7);
  };
  refuses(with_size(std::string(12, '\xff')) + tar_end(), "no number");           // negative
  refuses(with_size("\x80" + std::string(11, '\xff')) + tar_end(), "no number");  // beyond 64 bits
  refuses(with_size(std::string("\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12)) + tar_end(),
          "ends within a member");
  refuses(with_size("00000000009 ") + tar_end(), "no number");

  refuses(tar_header("p", 2 << 20, 'x') + std::string(2 << 20, ' ') + tar_end(), "larger than any");
  for (const std::string records :
       {"x", "5", "99 path=a\n", "3 a\n", "0 \n", "12 path=abcd", "9 pathab\n",
        "18446744073709551615 path=a\n", "99999999999999999999 a=b\n"}) {
    refuses(tar_member("p", records, 'x') + good + tar_end(), "pax header");
  }
  refuses(tar_member("p", pax("size", "-1"), 'x') + good + tar_end(), "no number");
  refuses(tar_member("p", pax("size", "18446744073709551615"), 'x') + good + tar_end(),
          "ends within");
  refuses(tar_member("p", pax("path", std::string("a\0b", 3)), 'x') + good + tar_end(), "has a 0");
  refuses(tar_member("p", pax("GNU.sparse.major", "1"), 'x') + good + tar_end(), "sparse");
  refuses(tar_member("a", "", 'S') + tar_end(), "sparse");
  refuses(tar_member("p", pax("path", "b"), 'x'), "cut off");  // of nothing
}

TEST_CASE("Extensions apply to the member that follows, a global one to all") {
  const ScratchFolder folder;
  const auto members = read_bytes(
      folder, tar_member("g", pax("path", "all"), 'g') + tar_member("a", "1") +
                  tar_member("p", pax("path", "one") + pax("size", "2"), 'x') +
                  tar_member("b", "22") + tar_member("L", std::string("long\0", 5), 'L') +
                  tar_member("c", "333") + tar_member("d", "") + tar_end() + "anything");
  REQUIRE(members.size() == 4);
  CHECK(members[0].name == "all");
  CHECK(members[1].name == "one");
  CHECK(members[1].size == 2);
  CHECK(members[2].name == "long");
  CHECK(members[2].size == 3);
  CHECK(members[3].name == "all");
}

TEST_CASE("Damaged tar files give members within the file, or an Error") {
  const ScratchFolder folder;
  vim::RandomStream random(fresh_seed(), vim::Purpose::kInit);
  const std::string good =
      tar_member("p", pax("path", "some/name.jpg"), 'x') + tar_member("a", std::string(700, 'a')) +
      tar_member("L", std::string(200, 'l'), 'L') + tar_member("b", "22") + tar_end();
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = good;
    for (int64_t changes = 1 + random.below(3); changes > 0; --changes) {
      const int64_t at = random.below(std::ssize(bytes));
      bytes[at] = static_cast<char>(random.below(256));
      // Half of them in a header whose sum is right again.
      const int64_t block = at / 512 * 512;
      if (random.below(2) == 0 && bytes.compare(block + 257, 5, "ustar") == 0) {
        bytes.replace(block + 148, 8, 8, ' ');
        unsigned sum = 0;
        for (int64_t k = 0; k < 512; ++k) sum += static_cast<unsigned char>(bytes[block + k]);
        char digits[8];
        std::snprintf(digits, sizeof digits, "%06o", sum);
        bytes.replace(block + 148, 7, digits, 7);
      }
    }
    if (random.below(4) == 0) bytes.resize(random.below(std::ssize(bytes)));
    try {
      for (const TarMember& member : read_bytes(folder, bytes)) {
        CHECK(member.offset <= bytes.size());
        CHECK(member.size <= bytes.size() - member.offset);
      }
    } catch (const vim::Error&) {
      ++refused;
    }
  }
  CHECK(refused > 300);
  CHECK(refused < 2900);
}

TEST_CASE("Braces stand for what they do in a shell") {
  using Names = std::vector<std::string>;
  CHECK(expand_braces("a.tar") == Names{"a.tar"});
  CHECK(expand_braces("t-{008..011}.tar") ==
        Names{"t-008.tar", "t-009.tar", "t-010.tar", "t-011.tar"});
  CHECK(expand_braces("{9..11}") == Names{"9", "10", "11"});
  CHECK(expand_braces("{2..0}") == Names{"2", "1", "0"});
  CHECK(expand_braces("{a,b{1..2},}x{0..1}") ==
        Names{"ax0", "ax1", "b1x0", "b1x1", "b2x0", "b2x1", "x0", "x1"});
  CHECK_THROWS_WITH(expand_braces("a{0..9"), Contains("without its }"));
  CHECK_THROWS_WITH(expand_braces("{0..99999999999}"), Contains("more than"));
  CHECK_THROWS_WITH(expand_braces("{0..9999}{0..9999}"), Contains("more than"));
}

TEST_CASE("Patterns name each file once, in the order of the alternatives and then of the bytes") {
  const ScratchFolder folder;
  fs::create_directories(folder / "sub");
  for (const char* name : {"b-1.tar", "b-0.tar", "a-0.tar", "sub/c.tar"}) {
    vim::write_atomically(folder / name, "x");
  }
  using Names = std::vector<std::string>;
  CHECK(find_shards(folder.path(), "{b,a}-*.tar") == Names{"b-0.tar", "b-1.tar", "a-0.tar"});
  CHECK(find_shards(folder.path(), "{b-1,?-[01]}.tar") == Names{"b-1.tar", "a-0.tar", "b-0.tar"});
  CHECK(find_shards(folder.path(), "sub/*.tar") == Names{"sub/c.tar"});
  CHECK_THROWS_WITH(find_shards(folder.path(), "b-{0..2}.tar"),
                    Contains("b-2.tar: there is no such shard"));
  CHECK(find_shards(folder.path(), "z*", false).empty());
}
