// The house rules that a machine can check. Each rule is a function from files to complaints, and
// each is first shown a sample that breaks it: a rule that cannot fail is not a rule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct File {
  std::string path;
  std::vector<std::string> lines;
};
using Files = std::vector<File>;
using Complaints = std::vector<std::string>;
using Rule = std::function<Complaints(const Files&)>;

File make_file(const std::string& path, const std::string& text) {
  File file{path, {}};
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) file.lines.push_back(line);
  return file;
}

// Every file git would ship: tracked, or new and not ignored.
const Files& tree() {
  static const Files files = [] {
    Files found;
    FILE* list = popen("git ls-files -co --exclude-standard 2>/dev/null", "r");
    std::string names;
    for (int c; list && (c = fgetc(list)) != EOF;) names += static_cast<char>(c);
    if (list) pclose(list);
    std::istringstream in(names);
    for (std::string path; std::getline(in, path);) {
      if (!fs::is_regular_file(path)) continue;
      std::ifstream content(path);
      std::ostringstream text;
      text << content.rdbuf();
      found.push_back(make_file(path, text.str()));
    }
    return found;
  }();
  return files;
}

bool ends_with_any(const std::string& path, std::initializer_list<const char*> endings) {
  for (const char* ending : endings)
    if (path.ends_with(ending)) return true;
  return false;
}

bool is_cpp(const File& f) { return ends_with_any(f.path, {".cpp", ".hpp", ".h", ".c"}); }
bool is_rtl(const File& f) { return f.path.ends_with(".sv"); }
bool is_text(const File& f) { return f.path.ends_with(".md"); }
bool is_generated(const File& f) {
  return ends_with_any(
      f.path, {"hw/interface/saline_pkg.sv", "hw/interface/saline_hw.hpp", "docs/registers.md"});
}
bool is_source(const File& f) {
  return is_cpp(f) || is_rtl(f) || ends_with_any(f.path, {".py", ".sh", ".toml"});
}

std::string at(const File& f, std::size_t line) { return f.path + ":" + std::to_string(line + 1); }

std::string folder_of(const std::string& path) {
  return fs::path(path).parent_path().generic_string();
}

// The layers of docs/architecture.md: a folder may include itself and those named here.
const std::map<std::string, std::set<std::string>>& layers() {
  static const std::map<std::string, std::set<std::string>> map{
      {"hw/interface", {}},
      {"host/base", {}},
      {"host/crypto", {"host/base", "hw/interface"}},
      {"host/ipsec", {"host/base", "host/crypto", "hw/interface"}},
      {"host/pfkey", {"host/base", "host/crypto"}},
      {"host/libipsec", {"host/base", "host/crypto", "host/pfkey"}},
      {"driver", {"host/base", "host/crypto", "hw/interface"}},
      {"driver/pmd", {"driver", "host/base", "host/crypto", "hw/interface"}},
      {"sim", {"driver", "host/base", "hw/interface"}},
      {"sim/emulation", {"sim", "driver", "host/base", "hw/interface"}},
      {"host/salined",
       {"host/base", "host/crypto", "host/ipsec", "host/pfkey", "host/libipsec", "hw/interface",
        "driver/pmd"}},
      {"host/setkey", {"host/base", "host/crypto", "host/pfkey", "host/libipsec"}},
      {"host/saline", {"host/base"}},
  };
  return map;
}

Complaints includes_point_downward(const Files& files) {
  static const std::regex include(R"re(^\s*#include "([^"]+)")re");
  Complaints found;
  for (const File& f : files) {
    const std::string folder = folder_of(f.path);
    const auto allowed = layers().find(folder);
    if (!is_cpp(f) || allowed == layers().end()) continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i) {
      std::smatch m;
      if (!std::regex_search(f.lines[i], m, include)) continue;
      const std::string target = folder_of(m[1]);
      if (target.empty() && m[1].str().starts_with("V")) continue;  // Verilator's own headers
      if (target != folder && !allowed->second.contains(target))
        found.push_back(at(f, i) + ": " + folder + " may not include " + m[1].str());
    }
  }
  return found;
}

// Each external library is known to few folders, so that it can be replaced there.
Complaints external_headers_are_confined(const Files& files) {
  struct Confinement {
    std::regex header;
    std::set<std::string> homes;  // a folder or a file
  };
  static const std::vector<Confinement> confinements{
      {std::regex("^(openssl/|intel-ipsec-mb|gcrypt\\.h|zlib\\.h)"), {"host/crypto"}},
      {std::regex("^(xrt/|experimental/xrt)"), {"driver/xrt_transport.cpp", "sim/emulation"}},
      {std::regex("^(ethdev_driver|ethdev_vdev|bus_vdev_driver|dev_driver|rte_security_driver|"
                  "rte_flow_driver)"),
       {"driver/pmd"}},
      {std::regex("^rte_"), {"driver/pmd", "host/salined"}},
      {std::regex("^(verilated|V[a-z])"), {"sim"}},
  };
  static const std::regex include(R"re(^\s*#include [<"]([^>"]+)[>"])re");
  Complaints found;
  for (const File& f : files) {
    if (!is_cpp(f) || f.path.starts_with("tests/")) continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i) {
      std::smatch m;
      if (!std::regex_search(f.lines[i], m, include)) continue;
      const std::string header = m[1];
      for (const Confinement& c : confinements)
        if (std::regex_search(header, c.header)) {
          if (!c.homes.contains(folder_of(f.path)) && !c.homes.contains(f.path))
            found.push_back(at(f, i) + ": " + header + " does not belong here");
          break;
        }
    }
  }
  return found;
}

Complaints lines_fit(const Files& files) {
  Complaints found;
  for (const File& f : files) {
    if (!is_source(f) || is_generated(f) || f.path.ends_with(".toml")) continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i) {
      std::size_t columns = 0;
      for (const char c : f.lines[i]) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      if (columns > 100) found.push_back(at(f, i) + ": longer than 100 columns");
    }
  }
  return found;
}

Complaints files_are_short(const Files& files) {
  Complaints found;
  for (const File& f : files) {
    if (!is_source(f) || is_generated(f)) continue;
    const std::size_t limit = is_rtl(f) ? 300 : 600;
    if (f.lines.size() > limit)
      found.push_back(f.path + ": " + std::to_string(f.lines.size()) + " lines, limit " +
                      std::to_string(limit));
  }
  return found;
}

// A function is what stands between a line in the first column that ends in `{` and the `}` in the
// first column (or, in a class, both indented by two).
Complaints functions_fit_a_screen(const Files& files) {
  constexpr std::size_t limit = 80;
  static const std::regex head(R"(^(  )?[A-Za-z_].*\).*\{$)");
  Complaints found;
  for (const File& f : files) {
    if (!is_cpp(f) || is_generated(f)) continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i) {
      std::smatch m;
      if (!std::regex_match(f.lines[i], m, head)) continue;
      if (f.lines[i].starts_with("TEST") || f.lines[i].starts_with("namespace")) continue;
      const std::string close = m[1].str() + "}";
      std::size_t end = i + 1;
      while (end < f.lines.size() && !f.lines[end].starts_with(close)) ++end;
      if (end - i > limit)
        found.push_back(at(f, i) + ": function of " + std::to_string(end - i) + " lines");
      i = end;
    }
  }
  return found;
}

Complaints rfc_references_have_one_form(const Files& files) {
  static const std::regex loose(
      R"(\b(rfc[ -][0-9]{3,5}\b|RFC-?[0-9]{3,5}\b|RFC [0-9]{3,5},? (section|sec\.|s\.) ?[0-9])"
      R"(|RFC [0-9]{3,5} [0-9]+\.[0-9]))");
  Complaints found;
  for (const File& f : files) {
    if (!(is_source(f) || is_text(f)) || f.path == "tests/tidy_test.cpp") continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i)
      if (std::regex_search(f.lines[i], loose) &&
          f.lines[i].find("[RFC") == std::string::npos)  // Wireshark's own names
        found.push_back(at(f, i) + ": write `RFC 4303 §3.4.3`");
  }
  return found;
}

Complaints files_named_in_documents_exist(const Files& files) {
  static const std::regex name(
      R"(`((?:host|hw|driver|sim|tests|docs|\.ci)/[A-Za-z0-9_./{},*-]+)`)");
  Complaints found;
  for (const File& f : files) {
    if (!is_text(f)) continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i)
      for (std::sregex_iterator m(f.lines[i].begin(), f.lines[i].end(), name), none; m != none;
           ++m) {
        const std::string path = (*m)[1];
        if (path.find_first_of("{*") != std::string::npos) continue;
        if (!fs::exists(path)) found.push_back(at(f, i) + ": no such file: " + path);
      }
  }
  return found;
}

// docs/verification.md names tests as `Suite.Name`; each must exist.
Complaints tests_named_in_documents_exist(const Files& files) {
  static const std::regex definition(R"(^(?:TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+),\s*(\w+)\))");
  static const std::regex split(R"(^(?:TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+),$)");
  static const std::regex reference(R"(`([A-Z][A-Za-z0-9]+)\.([A-Z][A-Za-z0-9_]+)`)");
  std::set<std::string> known;
  for (const File& f : files)
    for (std::size_t i = 0; is_cpp(f) && i < f.lines.size(); ++i) {
      std::smatch m;
      if (std::regex_search(f.lines[i], m, definition)) known.insert(m[1].str() + "." + m[2].str());
    }
  Complaints found;
  for (const File& f : files) {
    if (f.path != "docs/verification.md") continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i)
      for (std::sregex_iterator m(f.lines[i].begin(), f.lines[i].end(), reference), none; m != none;
           ++m)
        if (!known.contains((*m)[1].str() + "." + (*m)[2].str()))
          found.push_back(at(f, i) + ": no such test: " + (*m)[0].str());
  }
  return found;
}

// Every row of the list of bad inputs has a test whose name starts with it: `A7EveryBit...`.
Complaints every_bad_input_has_a_test(const Files& files) {
  static const std::regex definition(R"(^TEST(?:_F|_P)?\(\w+,\s*(\w+))");
  static const std::regex row(R"((?:^|And)([ABCD][0-9]+)(?=[A-Z_]))");
  static const std::map<char, int> groups{{'A', 24}, {'B', 11}, {'C', 9}, {'D', 14}};
  std::set<std::string> named;
  for (const File& f : files)
    for (std::size_t i = 0; f.path.starts_with("tests/") && i < f.lines.size(); ++i) {
      std::smatch m;
      if (!f.lines[i].starts_with("TEST") || !std::regex_search(f.lines[i], m, definition))
        continue;
      const std::string name = m[1];
      for (std::sregex_iterator r(name.begin(), name.end(), row), none; r != none; ++r)
        named.insert((*r)[1]);
    }
  Complaints found;
  for (const auto& [group, count] : groups)
    for (int i = 1; i <= count; ++i) {
      const std::string id = group + std::to_string(i);
      if (!named.contains(id)) found.push_back("no test for bad input " + id);
    }
  return found;
}

// docs/verification.md has a row for each numbered thing that its RFCs and the manual page demand,
// and each such row names a test.
Complaints every_promise_has_a_row(const Files& files) {
  static const std::regex row(R"(^\| ([0-9]{4}-[0-9]+|S[0-9]+) \|)");
  static const std::regex test(R"(`[A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9_]+`)");
  static const std::map<std::string, int> series{{"4301-", 17}, {"4303-", 15}, {"4302-", 7}};
  std::set<std::string> wanted{"S1", "S2", "S3"};
  for (int i = 11; i <= 20; ++i) wanted.insert("S" + std::to_string(i));
  for (const auto& [prefix, count] : series)
    for (int i = 1; i <= count; ++i) wanted.insert(prefix + std::to_string(i));
  Complaints found;
  for (const File& f : files) {
    if (f.path != "docs/verification.md") continue;
    for (std::size_t i = 0; i < f.lines.size(); ++i) {
      std::smatch m;
      if (!std::regex_search(f.lines[i], m, row)) continue;
      wanted.erase(m[1]);
      if (!std::regex_search(f.lines[i], test)) found.push_back(at(f, i) + ": names no test");
    }
  }
  for (const std::string& id : wanted)
    found.push_back("no row for " + id + " in docs/verification.md");
  return found;
}

Complaints top_level_is_closed(const Files& files) {
  static const std::set<std::string> allowed{"CMakeLists.txt", "CMakePresets.json",
                                             "README.md",      "CONTRIBUTING.md",
                                             "CHANGELOG.md",   "LICENSE",
                                             "host",           "hw",
                                             "driver",         "sim",
                                             "tests",          "docs"};
  std::set<std::string> wrong;
  for (const File& f : files) {
    const std::string top = f.path.substr(0, f.path.find('/'));
    if (!top.starts_with(".") && !allowed.contains(top)) wrong.insert(top);
  }
  return {wrong.begin(), wrong.end()};
}

Complaints no_catch_all_folders(const Files& files) {
  static const std::regex vague(R"((^|/)(utils?|common|misc|helpers?|src|include)(/|\.))");
  Complaints found;
  for (const File& f : files)
    if (std::regex_search(f.path, vague)) found.push_back(f.path + ": name says nothing");
  return found;
}

Complaints rtl_declares_every_net(const Files& files) {
  Complaints found;
  for (const File& f : files) {
    if (!is_rtl(f)) continue;
    bool declared = false;
    for (const std::string& line : f.lines) declared |= line.starts_with("`default_nettype none");
    if (!declared) found.push_back(f.path + ": lacks `default_nettype none");
  }
  return found;
}

Complaints sources_start_with_a_comment(const Files& files) {
  Complaints found;
  for (const File& f : files) {
    if (!(is_cpp(f) || is_rtl(f)) || f.lines.empty()) continue;
    if (!f.lines[0].starts_with("//") && !f.lines[0].starts_with("/*"))
      found.push_back(f.path + ": the first line does not say what the file is");
  }
  return found;
}

void check(const Rule& rule, const File& breaking) {
  EXPECT_FALSE(rule({breaking}).empty()) << "the rule does not see its own sample";
  EXPECT_THAT(rule(tree()), testing::IsEmpty());
}

std::string repeat(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

}  // namespace

TEST(Tidy, TreeIsSeen) { EXPECT_GT(tree().size(), 20u) << "run from the repository root"; }

TEST(Tidy, IncludesPointDownward) {
  check(includes_point_downward,
        make_file("host/base/ip.cpp", "#include \"host/ipsec/process.hpp\""));
}

TEST(Tidy, ExternalHeadersAreConfined) {
  check(external_headers_are_confined,
        make_file("host/ipsec/process.cpp", "#include <openssl/evp.h>"));
}

TEST(Tidy, LinesFitIn100Columns) {
  check(lines_fit, make_file("host/base/ip.cpp", std::string(101, 'x')));
}

TEST(Tidy, FilesAreShort) { check(files_are_short, make_file("hw/rtl/a.sv", repeat("x\n", 301))); }

TEST(Tidy, FunctionsFitAScreen) {
  check(functions_fit_a_screen,
        make_file("host/base/a.cpp", "void f() {\n" + repeat("  g();\n", 90) + "}\n"));
}

TEST(Tidy, RfcReferencesHaveOneForm) {
  check(rfc_references_have_one_form, make_file("host/base/a.cpp", "// RFC4303 section 3"));
}

TEST(Tidy, FilesNamedInDocumentsExist) {
  check(files_named_in_documents_exist, make_file("docs/a.md", "see `host/nothing.cpp`"));
}

TEST(Tidy, TestsNamedInDocumentsExist) {
  check(tests_named_in_documents_exist,
        make_file("docs/verification.md", "shown by `Nobody.KnowsThis`"));
}

TEST(Tidy, EveryBadInputHasATest) {
  check(every_bad_input_has_a_test, make_file("tests/a_test.cpp", "TEST(BadInput, A1Runts) {"));
}

TEST(Tidy, EveryPromiseHasARow) {
  check(every_promise_has_a_row, make_file("docs/verification.md", "| S1 | ESP and AH | |"));
}

TEST(Tidy, TopLevelIsClosed) { check(top_level_is_closed, make_file("misc.txt", "")); }

TEST(Tidy, NoCatchAllFolders) { check(no_catch_all_folders, make_file("host/utils/a.cpp", "")); }

TEST(Tidy, RtlDeclaresEveryNet) {
  check(rtl_declares_every_net, make_file("hw/rtl/a.sv", "module a;\nendmodule\n"));
}

TEST(Tidy, SourcesStartWithAComment) {
  check(sources_start_with_a_comment, make_file("host/base/a.cpp", "#include <vector>\n"));
}
