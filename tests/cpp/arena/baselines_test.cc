#include "tidemark/arena/baselines.h"

#include <gtest/gtest.h>

#include <string>

#include "arena/bench_data.h"
#include "arena/random_instance.h"
#include "arena/training_trace.h"
#include "tidemark/arena/pack.h"
#include "tidemark/arena/validate_layout.h"

namespace tidemark {
namespace {

using testing::RandomInstance;

class EveryBaseline : public ::testing::TestWithParam<Baseline> {};

TEST_P(EveryBaseline, MakesValidLayoutsThatPackIsNeverWorseThan) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    RandomInstance random(seed);
    const Instance instance =
        random.make({.num_buffers = 1 + random.below(60), .num_times = 30, .largest = 40});
    const Layout layout = pack_as(GetParam(), instance);
    ASSERT_FALSE(validate(instance, layout)) << validate(instance, layout)->sentence;
    ASSERT_LE(pack(instance, {.work_limit = 3'000'000}).layout.height, layout.height)
        << "seed " << seed;
  }
}

TEST_P(EveryBaseline, IsNotBetterThanPackOnATrainingTrace) {
  const Instance instance = testing::training_trace(3000, 5);
  const Layout layout = pack_as(GetParam(), instance);
  EXPECT_FALSE(validate(instance, layout));
  EXPECT_LE(pack(instance, {.time_limit_s = 100, .work_limit = 20'000'000}).layout.height,
            layout.height);
}

TEST_P(EveryBaseline, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(pack_as(GetParam(), {.buffers = {{.end = 1, .size = 1, .offset = 0}}}),
               std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(All, EveryBaseline,
                         ::testing::ValuesIn(baselines().begin(), baselines().end()),
                         [](const auto& test) { return std::string(to_string(test.param)); });

// In hundredths of a per cent above the lower bound, measured with the projects' own code.
struct Published {
  const char* file;
  Baseline baseline;
  int hundredths;
};

TEST(Baselines, ReproduceWhatThePublishedPlannersReach) {
  const Published rows[] = {
      {"idealloc/resnet50.csv", Baseline::kOnncFirstFit, 86},
      {"idealloc/resnet50.csv", Baseline::kStartBestFit, 31},
      {"idealloc/resnet50.csv", Baseline::kNntrainerV3, 86},
      {"idealloc/resnet50.csv", Baseline::kNntrainerV1, 1730},
      {"idealloc/tiny_bert.csv", Baseline::kNntrainerV1, 4730},
      {"idealloc/tiny_bert.csv", Baseline::kOnncFirstFit, 749},
      {"idealloc/tiny_bert.csv", Baseline::kStartBestFit, 604},
  };
  for (const Published& row : rows) {
    const auto instance = testing::load_bench_data(row.file);
    TIDEMARK_REQUIRE_BENCH_DATA(instance);
    const Bytes bound = pack(*instance, {.work_limit = 0}).lower_bound;
    const double above = static_cast<double>(pack_as(row.baseline, *instance).height - bound);
    EXPECT_NEAR(1e4 * above / static_cast<double>(bound), row.hundredths, 6)
        << row.file << " " << to_string(row.baseline);
  }
}

}  // namespace
}  // namespace tidemark
