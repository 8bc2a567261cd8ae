#include "tidemark/runtime/pages.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <vector>

namespace tidemark {
namespace {

Bytes resident() {
  std::ifstream file("/proc/self/statm");
  Bytes all = 0;
  Bytes in_memory = 0;
  file >> all >> in_memory;
  return in_memory * sysconf(_SC_PAGESIZE);
}

// A block that is still used lies above the freed ones: malloc gives nothing back by itself.
TEST(Pages, WhatMallocKeepsOfFreedMemoryGoesBackToTheSystem) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer has a malloc of its own, which keeps what is freed";
#endif
  constexpr int kNumBlocks = 1024;
  constexpr std::size_t kBlock = 64 << 10;  // too small for a mapping of its own
  std::vector<std::unique_ptr<char[]>> blocks;
  blocks.reserve(kNumBlocks);
  for (int i = 0; i < kNumBlocks; ++i) blocks.push_back(std::make_unique<char[]>(kBlock));
  const auto last = std::move(blocks.back());
  blocks.clear();
  const Bytes before = resident();

  give_back_freed_heap();

  EXPECT_LT(resident(), before - mib(48));
}

}  // namespace
}  // namespace tidemark
