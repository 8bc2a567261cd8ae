#include "fuzz/readers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace tidemark::fuzz {
namespace {

constexpr int kMutationsPerFile = 400;

std::vector<std::string> corpus(const std::string& name) {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(TIDEMARK_FUZZ_CORPUS "/" + name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

// Numbers, brackets and quotes, at which readers go wrong.
std::string token(std::mt19937& random) {
  static const std::vector<std::string> kTokens = {"-1",
                                                   "0",
                                                   "2147483647",
                                                   "2147483648",
                                                   "9223372036854775807",
                                                   "99999999999999999999",
                                                   "1e9",
                                                   "[",
                                                   "]",
                                                   "{",
                                                   "}",
                                                   "\"",
                                                   ",",
                                                   ":",
                                                   "null",
                                                   "true",
                                                   "\\u0000",
                                                   "\xff",
                                                   std::string(1, '\0'),
                                                   "[[[[[[[[",
                                                   "{\"version\":",
                                                   " KiB",
                                                   "."};
  return kTokens[random() % kTokens.size()];
}

// One byte, one token or one stretch is another, is gone, or is there twice.
void mutate(std::string& text, std::mt19937& random) {
  const std::size_t at = text.empty() ? 0 : random() % text.size();
  const std::size_t size = random() % 16;
  switch (random() % 5) {
    case 0:
      text.replace(at, size, token(random));
      break;
    case 1:
      text.insert(at, token(random));
      break;
    case 2:
      text.erase(at, size);
      break;
    case 3:
      text.insert(at, text.substr(at, size * 8));
      break;
    default:
      if (!text.empty()) text[at] = static_cast<char>(random());
  }
}

struct Reader {
  const char* name;
  void (*read)(std::string_view);
};

class Readers : public ::testing::TestWithParam<Reader> {};

INSTANTIATE_TEST_SUITE_P(All, Readers,
                         ::testing::Values(Reader{"graph", read_graph}, Reader{"plan", read_plan},
                                           Reader{"bytes", read_bytes},
                                           Reader{"profile", read_profile},
                                           Reader{"lifetimes", read_lifetimes}),
                         [](const auto& reader) { return reader.param.name; });

TEST_P(Readers, HaveACorpus) { EXPECT_GE(corpus(GetParam().name).size(), 3u); }

TEST_P(Readers, RefuseOrReadEveryMutationOfTheCorpus) {
  std::mt19937 random(1);
  for (const std::string& text : corpus(GetParam().name)) {
    EXPECT_NO_THROW(GetParam().read(text)) << text;
    for (int i = 0; i < kMutationsPerFile; ++i) {
      std::string mutant = text;
      for (auto n = 1 + random() % 4; n > 0; --n) mutate(mutant, random);
      EXPECT_NO_THROW(GetParam().read(mutant)) << mutant;
    }
  }
}

TEST_P(Readers, RefuseOrReadEveryTruncation) {
  for (const std::string& text : corpus(GetParam().name)) {
    const std::size_t stride = 1 + text.size() / 500;
    for (std::size_t size = 0; size < text.size(); size += stride) {
      EXPECT_NO_THROW(GetParam().read(std::string_view(text).substr(0, size))) << size;
    }
  }
}

// Bounded in time and, as nothing recurses and nothing is reserved on the text's word, in memory.
TEST_P(Readers, RefuseAMegabyteOfAnyToken) {
  for (const char* token : {"[", "{\"values\":[", "9", "\"", " ", "{\"version\":1,", "\\u0000"}) {
    std::string text;
    while (text.size() < (std::size_t{1} << 20)) text += token;
    EXPECT_NO_THROW(GetParam().read(text)) << token;
  }
}

}  // namespace
}  // namespace tidemark::fuzz
