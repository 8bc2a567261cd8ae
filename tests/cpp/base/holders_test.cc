#include "tidemark/base/holders.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace tidemark {
namespace {

TEST(Holders, TheLastToGoAfterClosingIsTold) {
  Holders holders;
  holders.come();
  holders.come();
  EXPECT_EQ(holders.num_present(), 2);
  EXPECT_FALSE(holders.go());
  EXPECT_FALSE(holders.close());
  EXPECT_TRUE(holders.go());
}

TEST(Holders, NobodyIsLastBeforeClosing) {
  Holders holders;
  holders.come();
  EXPECT_FALSE(holders.go());
  EXPECT_EQ(holders.num_present(), 0);
  EXPECT_TRUE(holders.close());
}

// Named so that it runs under the thread sanitizer too.
TEST(Concurrency, OneOfAllHoldersIsTheLast) {
  constexpr int kNumThreads = 4;
  constexpr int kNumHolders = 1000;
  for (int round = 0; round < 20; ++round) {
    Holders holders;
    int left = 0;  // plain: written by who closes, read by the last
    std::atomic<int> num_last = 0;
    for (int i = 0; i < kNumThreads * kNumHolders; ++i) holders.come();
    std::vector<std::thread> threads;
    threads.reserve(kNumThreads);
    for (int t = 0; t < kNumThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kNumHolders; ++i) {
          if (holders.go()) num_last += left;
        }
      });
    }
    left = 1;
    if (holders.close()) num_last += left;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(num_last, 1);
  }
}

}  // namespace
}  // namespace tidemark
